use super::file_check::{check, read};

#[test]
fn damaged_text_files_are_refused_or_read() {
    // Proves that CSV and JSON files, cut anywhere and with bytes replaced, never panic and never give rows that do not fit their types.
    let files: [(&[u8], usize); 7] = [
        (b"\xEF\xBB\xBFid,name\r\n1,\"x, \"\"y\"\"\"\r\n2,\r\n", 2),
        (b"a;b\n\"line\nbreak\";2024-01-15T12:00:00Z\n;\n", 2),
        (b"a\tb\tc\n1.5\ttrue\t007\n", 1),
        (b"a|b\n", 0),
        (br#"[{"a":1,"b":[1,{"c":"]"}]},{"a":"\u00e9\\","B":null}]"#, 2),
        (b"{\"a\":1}\n{\"a\":2.5}{\"b\":true}\n", 3),
        (b" [ ] ", 0),
    ];
    for (file, rows) in files {
        assert_eq!(read(file).expect("a good file"), rows);
        for end in 0..file.len() {
            check(&file[..end]);
        }
        let mut damaged = file.to_vec();
        for at in 0..file.len() {
            for byte in [b'"', b'\\', b'{', b']', b',', b'\n', b'9', 0, 0xFF, file[at] ^ 1] {
                damaged[at] = byte;
                check(&damaged);
            }
            damaged[at] = file[at];
        }
    }
}
