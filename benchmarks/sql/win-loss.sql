CREATE OR REPLACE TEMP TABLE closed AS
SELECT entity_id, outcome, because, competitor, currency, amount
FROM closing_at($as_of, $known_at)
WHERE outcome IN ('won', 'lost') AND closed >= $start AND closed < $end;

SELECT outcome, count(*) FROM closed GROUP BY ALL;

SELECT factor, detail, won_with, lost_with, won - won_with, lost - lost_with
FROM (
    SELECT factor, detail, count(*) FILTER (outcome = 'won') AS won_with,
           count(*) FILTER (outcome = 'lost') AS lost_with
    FROM closed JOIN factor_at($as_of, $known_at) USING (entity_id)
    GROUP BY ALL
), (
    SELECT count(*) FILTER (outcome = 'won') AS won, count(*) FILTER (outcome = 'lost') AS lost
    FROM closed
);

SELECT currency, because, count(*), coalesce(sum(amount), 0)
FROM closed WHERE outcome = 'lost' GROUP BY ALL;

SELECT competitor, count(*)
FROM closed WHERE outcome = 'lost' AND competitor IS NOT NULL GROUP BY ALL;
