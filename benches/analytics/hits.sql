-- ClickBench's table of page views, made up: 105 columns with its names, types and roughly its shares of empty values and of distinct
-- ones. For DuckDB; $rows is replaced, and h(x, n) is a hash of
-- x, one for each n, as a BIGINT from 0. Row i is a function of i.
WITH dice AS (
  SELECT i, h(i, 1) AS a, h(i, 2) AS b, h(i, 3) AS c, h(i, 4) AS d, h(i, 5) AS e FROM range($rows) AS r(i)
), visits AS (
  SELECT *, (pow((a % 1000000) / 1000000.0, 3) * 700000)::BIGINT AS who, (pow((b % 1000000) / 1000000.0, 4) * 6000)::INTEGER AS site,
         (pow((c % 1000000) / 1000000.0, 3) * 300000)::INTEGER AS page, d % 100 < 13 AS searched, e % 100 < 8 AS mobile
  FROM dice
)
SELECT
  h(i, 6) AS WatchID, 1::SMALLINT AS JavaEnable,
  CASE WHEN a % 20 = 0 THEN '' WHEN a % 300 = 1 THEN 'Google and page ' || page ELSE 'The page about ' || (page % 9000) || ' on site ' || site END AS Title,
  1::SMALLINT AS GoodEvent, TIMESTAMP '2013-07-01' + to_seconds((i * 2678400) // $rows) AS EventTime,
  (DATE '2013-07-01' + ((i * 31) // $rows)::INTEGER) AS EventDate,
  CASE WHEN b % 50 = 0 THEN 62 ELSE site + 100 END::INTEGER AS CounterID, (h(who, 7) % 4000000000 - 2000000000)::INTEGER AS ClientIP,
  (pow((h(who, 8) % 1000) / 1000.0, 3) * 9000)::INTEGER AS RegionID,
  CASE WHEN who = 77 THEN 435090932899640449 ELSE h(who, 9) END AS UserID,
  0::SMALLINT AS CounterClass, (h(who, 10) % 90)::SMALLINT AS OS, (h(who, 11) % 80)::SMALLINT AS UserAgent,
  'http://' || CASE WHEN page % 400 = 0 THEN 'www.google' ELSE 'site' || site END || '.example/section' || (page % 40) || '/item' || page || CASE WHEN c % 3 = 0 THEN '?ref=' || (c % 1000) ELSE '' END AS URL,
  CASE WHEN d % 3 = 0 THEN '' ELSE 'http://' || CASE WHEN d % 2 = 0 THEN 'www.' ELSE '' END || 'from' || (site % 500) || '.example/' || (d % 5000) END AS Referer,
  (e % 9 = 0)::SMALLINT AS IsRefresh, (d % 40)::SMALLINT AS RefererCategoryID, (d % 300)::INTEGER AS RefererRegionID, (c % 40)::SMALLINT AS URLCategoryID, (c % 300)::INTEGER AS URLRegionID,
  [1024, 1280, 1366, 1440, 1600, 1920, 0, 320][1 + h(who, 12) % 8]::SMALLINT AS ResolutionWidth, [768, 800, 900, 1080, 1200, 0][1 + h(who, 13) % 6]::SMALLINT AS ResolutionHeight, 24::SMALLINT AS ResolutionDepth,
  (h(who, 14) % 12)::SMALLINT AS FlashMajor, (h(who, 15) % 9)::SMALLINT AS FlashMinor, CASE WHEN a % 2 = 0 THEN '' ELSE (h(who, 16) % 700)::VARCHAR END AS FlashMinor2,
  (h(who, 17) % 4)::SMALLINT AS NetMajor, (h(who, 18) % 3)::SMALLINT AS NetMinor, (h(who, 19) % 30)::SMALLINT AS UserAgentMajor, substr(h(who, 20)::VARCHAR, 1, 2) AS UserAgentMinor,
  1::SMALLINT AS CookieEnable, 1::SMALLINT AS JavascriptEnable, mobile::SMALLINT AS IsMobile, CASE WHEN mobile THEN h(who, 21) % 70 ELSE 0 END::SMALLINT AS MobilePhone,
  CASE WHEN mobile THEN 'model ' || (h(who, 22) % 160) ELSE '' END AS MobilePhoneModel, CASE WHEN a % 4 = 0 THEN '{"p": ' || (a % 10000) || '}' ELSE '' END AS Params,
  (h(who, 23) % 4000000)::INTEGER AS IPNetworkID, ((d % 9)::INTEGER - 1)::SMALLINT AS TraficSourceID, CASE WHEN searched THEN 1 + d % 70 ELSE 0 END::SMALLINT AS SearchEngineID,
  CASE WHEN searched THEN 'how to find ' || (pow((h(i, 24) % 1000000) / 1000000.0, 2) * 600000)::INTEGER ELSE '' END AS SearchPhrase,
  CASE WHEN e % 160 = 0 THEN 1 + e % 40 ELSE 0 END::SMALLINT AS AdvEngineID, 0::SMALLINT AS IsArtifical, (h(who, 25) % 1900)::SMALLINT AS WindowClientWidth, (h(who, 26) % 1100)::SMALLINT AS WindowClientHeight,
  (h(who, 27) % 720)::SMALLINT AS ClientTimeZone, TIMESTAMP '2013-07-01' + to_seconds((i * 2678400) // $rows + (a % 60)::BIGINT) AS ClientEventTime,
  0::SMALLINT AS SilverlightVersion1, 0::SMALLINT AS SilverlightVersion2, (h(who, 28) % 60000)::INTEGER AS SilverlightVersion3, 0::SMALLINT AS SilverlightVersion4,
  ['utf-8', 'windows-1251', 'koi8-r', ''][1 + site % 4] AS PageCharset, (site % 800)::INTEGER AS CodeVersion, (e % 25 = 0)::SMALLINT AS IsLink, (e % 400 = 1)::SMALLINT AS IsDownload, (e % 3 = 0)::SMALLINT AS IsNotBounce,
  h(who, 29) AS FUniqID, CASE WHEN a % 10 = 0 THEN 'http://original.example/' || page ELSE '' END AS OriginalURL, (h(i, 30) % 1000000000)::INTEGER AS HID,
  0::SMALLINT AS IsOldCounter, 0::SMALLINT AS IsEvent, 0::SMALLINT AS IsParameter, (e % 12 = 0)::SMALLINT AS DontCountHits, (e % 200 = 0)::SMALLINT AS WithHash, substr('5DEF', (1 + e % 4)::INTEGER, 1) AS HitColor,
  TIMESTAMP '2013-07-01' + to_seconds((i * 2678400) // $rows - (a % 60)::BIGINT) AS LocalEventTime,
  (h(who, 31) % 6)::SMALLINT AS Age, (h(who, 32) % 3)::SMALLINT AS Sex, (h(who, 33) % 4)::SMALLINT AS Income, (h(who, 34) % 30000)::SMALLINT AS Interests, (h(who, 35) % 50 = 0)::SMALLINT AS Robotness,
  (h(who, 36) % 2000000000)::INTEGER AS RemoteIP, -1::INTEGER AS WindowName, -1::INTEGER AS OpenerName, (h(i, 37) % 60)::SMALLINT AS HistoryLength,
  ['ru', 'en', 'de', 'tr', ''][1 + h(who, 38) % 5] AS BrowserLanguage, ['RU', 'US', 'DE', 'TR', 'KZ', ''][1 + h(who, 39) % 6] AS BrowserCountry, '' AS SocialNetwork, '' AS SocialAction,
  0::SMALLINT AS HTTPError, (h(i, 40) % 300)::INTEGER AS SendTiming, (h(i, 41) % 200)::INTEGER AS DNSTiming, (h(i, 42) % 200)::INTEGER AS ConnectTiming, (h(i, 43) % 900)::INTEGER AS ResponseStartTiming,
  (h(i, 44) % 900)::INTEGER AS ResponseEndTiming, (h(i, 45) % 3000)::INTEGER AS FetchTiming, 0::SMALLINT AS SocialSourceNetworkID, '' AS SocialSourcePage, 0::BIGINT AS ParamPrice, '' AS ParamOrderID,
  'NH' AS ParamCurrency, 0::SMALLINT AS ParamCurrencyID, '' AS OpenstatServiceName, '' AS OpenstatCampaignID, '' AS OpenstatAdID, '' AS OpenstatSourceID,
  CASE WHEN e % 30 = 0 THEN 'campaign' || (e % 90) ELSE '' END AS UTMSource, CASE WHEN e % 30 = 0 THEN 'cpc' ELSE '' END AS UTMMedium, CASE WHEN e % 30 = 0 THEN 'spring' || (e % 400) ELSE '' END AS UTMCampaign, '' AS UTMContent, '' AS UTMTerm,
  '' AS FromTag, (e % 100 = 7)::SMALLINT AS HasGCLID, CASE WHEN d % 700 = 0 THEN 3594120000172545465 ELSE h(d % 5000, 46) END AS RefererHash,
  CASE WHEN c % 900 = 0 THEN 2868770270353813622 ELSE h(page, 47) END AS URLHash, 0::INTEGER AS CLID
FROM visits ORDER BY i
