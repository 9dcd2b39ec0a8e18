CREATE OR REPLACE TEMP TABLE closed AS
SELECT entity_id, outcome, because, competitor, currency, amount
FROM closing_at($as_of, $known_at)
WHERE outcome IN ('won', 'lost') AND closed >= $start AND closed < $end;

SELECT outcome, count(*) FROM closed GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE factors AS
SELECT entity_id, outcome, factor, detail, factor IN ('contacted_in', 'overdue_in') AS of_stage
FROM closed JOIN factor_at($as_of, $known_at) USING (entity_id);

-- What happens in a stage is compared among the deals that stood there for some time.
CREATE OR REPLACE TEMP TABLE stood AS
SELECT DISTINCT entity_id, outcome, stage
FROM closed JOIN (
    SELECT entity_id, stage
    FROM (
        SELECT entity_id, stage, outcome AS stands, valid_from,
               lead(valid_from) OVER (
                   PARTITION BY entity_id ORDER BY valid_from, entered <> 'opened', begun
               ) AS next_from
        FROM stage_visit_begun($as_of, $known_at)
    )
    WHERE stands = 'open' AND (next_from IS NULL OR next_from > valid_from)
) USING (entity_id)
UNION
SELECT entity_id, outcome, detail FROM factors WHERE of_stage;

SELECT factor, detail, won_with, lost_with,
       if(of_stage, won_there, won) - won_with, if(of_stage, lost_there, lost) - lost_with
FROM (
    SELECT factor, detail, of_stage, count(*) FILTER (outcome = 'won') AS won_with,
           count(*) FILTER (outcome = 'lost') AS lost_with
    FROM factors GROUP BY ALL
) LEFT JOIN (
    SELECT stage AS detail, count(*) FILTER (outcome = 'won') AS won_there,
           count(*) FILTER (outcome = 'lost') AS lost_there
    FROM stood GROUP BY ALL
) USING (detail), (
    SELECT count(*) FILTER (outcome = 'won') AS won, count(*) FILTER (outcome = 'lost') AS lost
    FROM closed
);

SELECT currency, because, count(*), coalesce(sum(amount), 0)
FROM closed WHERE outcome = 'lost' GROUP BY ALL;

SELECT competitor, count(*)
FROM closed WHERE outcome = 'lost' AND competitor IS NOT NULL GROUP BY ALL;
