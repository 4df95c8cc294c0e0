//! Each checker of the simulation is shown something wrong and must say so: a checker that cannot fail proves nothing.

use std::sync::Arc;

use siltstone_tests::simulation::world::{Column, Row, Schema, Table, View, World};
use siltstone_tests::simulation::{Cell, Fault, Flow, Simulation, check, probe};

/// A simulation on a healthy disk after some work, with a table that has rows.
fn worked(seed: u64) -> Simulation {
    let mut simulation = Simulation::new(seed, false);
    assert!(simulation.open().expect("a healthy disk"));
    let mut steps = 0;
    while steps < 40 || rich_table(simulation.model.newest()).is_none() {
        assert_eq!(simulation.step(), Ok(Flow::Go), "seed {seed}");
        steps += 1;
    }
    simulation.check_now().expect("nothing is wrong yet");
    simulation
}

/// A table with more than one row.
fn rich_table(world: &World) -> Option<u64> {
    world.tables().find(|table| table.rows.len() > 1).map(|table| table.id)
}

/// Tells the model something else about a table of its newest world.
fn falsify(simulation: &mut Simulation, change: impl FnOnce(&mut Table)) {
    let (newest, table) = (simulation.model.newest().id, rich_table(simulation.model.newest()).expect("a rich table"));
    simulation.model.falsify(newest, |world| change(Arc::make_mut(world.tables.get_mut(&table).expect("the table"))));
}

/// The rows, names and columns of the newest snapshot are compared.
fn newest_is_compared(change: impl Fn(&mut Table)) {
    for seed in 0..4 {
        let mut simulation = worked(seed);
        falsify(&mut simulation, &change);
        simulation.check_now().expect_err("the newest snapshot is not what the model says");
        simulation.close().expect("a healthy disk");
        simulation.recover().expect_err("what is there after a restart is not what the model says");
    }
}

#[test]
fn a_lost_row_is_noticed() {
    // The model has a row that nobody wrote.
    newest_is_compared(|table| drop(table.rows.insert(u64::MAX, Arc::new(Row::default()))));
}

#[test]
fn a_dropped_delete_is_noticed() {
    // The model has deleted a row that the engine still shows.
    newest_is_compared(|table| drop(table.rows.pop_first()));
}

#[test]
fn a_changed_value_is_noticed() {
    // One value of one row differs.
    newest_is_compared(|table| {
        let row = table.rows.values_mut().next().expect("a row");
        Arc::make_mut(row).0.insert(1, Cell::Int(-77));
    });
}

#[test]
fn a_wrong_name_or_column_is_noticed() {
    // The catalog is compared as a whole: spelling of tables, columns, keys.
    newest_is_compared(|table| table.name[2].push('x'));
    newest_is_compared(|table| table.columns[0].name.push('x'));
    newest_is_compared(|table| table.key.push(99));
    newest_is_compared(|table| {
        let extra = Column { id: 99, name: "extra".to_owned(), ..table.columns[0].clone() };
        table.columns.push(extra);
    });
}

#[test]
fn a_wrong_view_or_comment_is_noticed() {
    // What a catalog holds beside tables is compared, too.
    newest_is_compared(|table| table.extras.comment = Some("nobody said so".to_owned()));
    newest_is_compared(|table| drop(table.extras.column_comments.insert(1, "nobody said so".to_owned())));
    newest_is_compared(|table| table.extras.layout.sorted_by.push((1, true)));
    let changes: [fn(&mut Schema); 3] = [
        |schema| schema.comment = Some("nobody said so".to_owned()),
        |schema| {
            let [name, query] = ["LAKE", "SELECT 1"].map(str::to_owned);
            let view =
                View { name: [name, schema.name.clone(), "zz".to_owned()], query, columns: Vec::new(), comment: None };
            schema.views.insert("zz".to_owned(), view);
        },
        |schema| schema.views.values_mut().for_each(|view| view.query.push(' ')),
    ];
    for change in changes {
        let mut noticed = 0;
        for seed in 0..12 {
            let mut simulation = worked(seed);
            let before = simulation.model.newest().databases.clone();
            simulation.model.falsify(simulation.model.newest().id, |world| {
                change(
                    world
                        .databases
                        .get_mut("lake")
                        .and_then(|lake| lake.schemas.get_mut("main"))
                        .expect("the home of most tables"),
                );
            });
            let differs = simulation.model.newest().databases != before;
            assert_eq!(simulation.check_now().is_err(), differs, "seed {seed}");
            noticed += u32::from(differs);
        }
        assert!(noticed > 3, "only {noticed} differences");
    }
}

#[test]
fn a_commit_that_is_not_there_is_noticed() {
    // The model is told of an acknowledgement that the engine never gave.
    for seed in 0..4 {
        let mut simulation = worked(seed);
        let newest = simulation.model.newest();
        let told = World { id: newest.id + 1, ..newest.as_ref().clone() };
        simulation.model.acknowledge(Arc::new(told));
        simulation.close().expect("a healthy disk");
        let fault = simulation.recover().expect_err("a commit is missing");
        assert!(fault.contains("snapshot after restart"), "{fault}");
    }
}

#[test]
fn half_a_commit_is_noticed() {
    // A commit in doubt is there whole or not at all: this one is there, but for a row.
    for seed in 0..4 {
        let simulation = worked(seed);
        let newest = simulation.model.newest();
        let before = simulation.model.at(newest.id - 1);
        let snapshot = simulation.engine().snapshot();
        let survived = check::recovered(&snapshot, before, &[Arc::clone(newest)]);
        assert!(survived.is_ok_and(|survived| survived == 1), "the whole commit is accepted");
        let mut half = newest.as_ref().clone();
        let table = rich_table(&half).expect("a rich table");
        Arc::make_mut(half.tables.get_mut(&table).expect("the table")).rows.pop_last();
        check::recovered(&snapshot, before, &[Arc::new(half)]).expect_err("half a commit");
    }
}

#[test]
fn a_changed_past_is_noticed() {
    // A table as of an earlier snapshot is not what the model remembers.
    let mut noticed = 0;
    for seed in 0..6 {
        let simulation = worked(seed);
        let (snapshot, newest) = (simulation.engine().snapshot(), simulation.model.newest());
        for id in snapshot.horizon().0..newest.id {
            for table in newest.tables().filter(|table| simulation.model.at(id).tables.contains_key(&table.id)) {
                let mut then = simulation.model.at(id).as_ref().clone();
                check::past(&snapshot, &then, table.id).expect("the past as it was");
                let changed = Arc::make_mut(then.tables.get_mut(&table.id).expect("the table"));
                changed.rows.insert(u64::MAX, Arc::new(Row::default()));
                check::past(&snapshot, &then, table.id).expect_err("a row that was never there");
                then.tables.remove(&table.id);
                check::past(&snapshot, &then, table.id).expect_err("a table that was not there");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 50, "only {noticed} looks back");
}

#[test]
fn a_wrong_list_of_commits_is_noticed() {
    // Time, author, message and extra of every commit are compared.
    for change in [|world: &mut World| world.time_us += 1, |world: &mut World| world.info[1] = Some("no".to_owned())] {
        let mut simulation = worked(6);
        check::history(&simulation.engine().snapshot(), &simulation.model).expect("the list as it is");
        simulation.model.falsify(simulation.model.newest().id, change);
        check::history(&simulation.engine().snapshot(), &simulation.model).expect_err("another list");
    }
}

#[test]
fn a_wrong_change_feed_is_noticed() {
    // A row that the model lost on the way: the feed says otherwise.
    let mut simulation = worked(7);
    let (id, newest) = (rich_table(simulation.model.newest()).expect("a rich table"), simulation.model.newest().id);
    let (snapshot, from) = (simulation.engine().snapshot(), simulation.model.horizon);
    check::changes(&snapshot, &simulation.model, id, from, newest).expect("the feed as it is");
    falsify(&mut simulation, |table| drop(table.rows.pop_first()));
    check::changes(&snapshot, &simulation.model, id, from, newest).expect_err("another feed");
}

#[test]
fn a_changed_pin_is_noticed() {
    // A held snapshot that shows another commit's rows.
    let mut simulation = worked(1);
    let older = Arc::clone(simulation.model.at(simulation.model.newest().id - 1));
    let snapshot = simulation.engine().snapshot();
    simulation.check_pins().expect("honest pins");
    simulation.hold(snapshot, older);
    simulation.check_pins().expect_err("a pin that does not show what it should");
}

#[test]
fn damaged_files_are_noticed() {
    // A bit of every file that counts: `verify` finds it, wherever segments and the manifest are read.
    let mut simulation = worked(2);
    simulation.flush().expect("a healthy disk");
    simulation.check_files().expect("whole files");
    let files: Vec<(String, u64)> = simulation.disk.files();
    let live = files.iter().filter(|(path, _)| path.ends_with(".segment") || path.starts_with("MANIFEST"));
    let mut noticed = 0;
    for (path, bytes) in live {
        simulation.disk.flip_bit(path, bytes - 1, 3).expect("the file is there");
        simulation.check_files().expect_err("a damaged file");
        simulation.disk.flip_bit(path, bytes - 1, 3).expect("the file is there");
        noticed += 1;
    }
    assert!(noticed > 1, "there are segments");
    simulation.check_files().expect("whole files again");
}

#[test]
fn wrong_rows_after_damage_are_noticed() {
    // The probe compares what a damaged disk shows: here it is the model that is wrong, which looks the same.
    let mut simulation = worked(3);
    simulation.close().expect("a healthy disk");
    let options = simulation.options().clone();
    let mut random = fastrand::Rng::with_seed(3);
    let mut probe_all = |simulation: &Simulation| -> Vec<Result<_, Fault>> {
        (0..30).map(|_| probe(&simulation.disk, &simulation.model, &options, &mut random)).collect()
    };
    assert!(probe_all(&simulation).iter().all(Result::is_ok), "damage is answered for");
    falsify(&mut simulation, |table| drop(table.rows.pop_first()));
    let wrong = probe_all(&simulation).into_iter().filter_map(Result::err);
    assert!(wrong.filter(|fault| fault.contains("wrong rows")).count() > 5);
}

#[test]
fn a_wrong_answer_is_noticed() {
    // The model believes that a table is empty: sooner or later an answer contradicts it, unless the table is dropped first.
    let noticed = (0..24).filter(|seed| {
        let mut simulation = worked(*seed);
        let table = rich_table(simulation.model.newest()).expect("a rich table");
        falsify(&mut simulation, |table| table.rows.clear());
        let ended = (0..400).find_map(|_| match simulation.commit_group(2) {
            Err(_) => Some(true),
            Ok(()) if !simulation.model.newest().tables.contains_key(&table) => Some(false),
            Ok(()) => None,
        });
        ended.expect("counts and refusals are compared")
    });
    assert!(noticed.count() > 4, "many tables are changed before they are dropped");
}

#[test]
fn an_error_without_a_reason_is_noticed() {
    // Nobody told the simulation that the disk is full: a refusal is then the engine's mistake.
    let mut simulation = worked(5);
    simulation.disk.set_capacity(Some(1));
    let fault = (0..300).find_map(|_| simulation.step().err()).expect("a refusal without reason");
    assert!(fault.contains("Exhausted"), "{fault}");
}

#[test]
fn a_disk_that_lies_is_caught() {
    // Syncs that do nothing cannot be survived: losses must be found out, or all the rest proves nothing.
    for seed in 0..4 {
        let mut caught = 0;
        for call in (50..400).step_by(10) {
            let mut simulation = Simulation::new(seed, false);
            simulation.disk.lie_about_sync(true);
            simulation.disk.crash_at_call(call);
            let mut flow = simulation.open().map(|opened| if opened { Flow::Go } else { Flow::Stop });
            while flow == Ok(Flow::Go) {
                flow = simulation.step();
            }
            simulation.cut_power();
            caught += u32::from(flow.is_err() || simulation.recover().is_err());
        }
        assert!(caught > 10, "seed {seed}: lost data was noticed {caught} times only");
    }
}
