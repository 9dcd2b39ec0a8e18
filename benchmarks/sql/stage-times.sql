CREATE OR REPLACE TEMP TABLE steps AS
SELECT *, lasted(valid_from, day_only, coalesce(next_from, $as_of),
                 if(next_from IS NULL, 0, next_day_only)) AS stayed
FROM (
    SELECT entity_id, process, stage, valid_from, day_only,
           row_number() OVER way AS step,
           lead(valid_from) OVER way AS next_from,
           lead(day_only) OVER way AS next_day_only,
           lead(entered) OVER way AS next_entered
    FROM stage_visit_begun($as_of, $known_at)
    WINDOW way AS (PARTITION BY entity_id ORDER BY valid_from, entered <> 'opened', begun)
);

SELECT process, stage, count(*), sum(visits), sum(open_visits),
       days(quantile_cont(latest, 0.5)), days(avg(latest)), days(quantile_cont(latest, 0.9)),
       days(quantile_cont(together, 0.5)), days(avg(together)),
       days(quantile_cont(together, 0.9))
FROM (
    SELECT process, stage, entity_id, count(*) AS visits,
           count(*) FILTER (next_from IS NULL) AS open_visits,
           arg_max(stayed, step) AS latest, sum(stayed)::BIGINT AS together
    FROM steps WHERE stage IS NOT NULL
    GROUP BY ALL
)
GROUP BY ALL;

SELECT process, stage, count(*),
       count(*) FILTER (next_entered NOT IN ('won', 'lost', 'disqualified',
                                             'merged', 'migrated')),
       count(*) FILTER (next_entered = 'won'), count(*) FILTER (next_entered = 'lost'),
       count(*) FILTER (next_entered = 'disqualified'),
       count(*) FILTER (next_entered IS NULL OR next_entered IN ('merged', 'migrated'))
FROM steps WHERE stage IS NOT NULL
GROUP BY ALL;

SELECT steps.process, steps.stage, count(*)
FROM steps
JOIN deal_state_at($as_of, $known_at) AS deal USING (entity_id)
JOIN stages ON stages.process = deal.process AND stages.version = deal.process_version
           AND stages.stage = steps.stage
WHERE next_from IS NULL AND deal.outcome IN ('open', 'won')
  AND $as_of - steps.valid_from > max_days * 86400000000
GROUP BY ALL;
