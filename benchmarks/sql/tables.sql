-- Between two days of which no more is known there are calendar days of the business time zone.
CREATE MACRO day_of(instant) AS (instant + getvariable('utc_offset')) // 86400000000;

CREATE MACRO lasted(from_instant, from_day_only, to_instant, to_day_only) AS
CASE WHEN from_day_only = 1 AND to_day_only = 1
     THEN (day_of(to_instant) - day_of(from_instant)) * 86400000000
     ELSE to_instant - from_instant END;

CREATE MACRO days(microseconds) AS microseconds / 86400000000.0;

-- What had been entered by a moment, also what has been left again.
CREATE MACRO stage_visit_begun(as_of, known_at) AS TABLE
SELECT * FROM stage_visit
WHERE known_from <= known_at AND known_to > known_at AND valid_from <= as_of;
