-- A visit goes on under the names that migrations give it: it and they are one span.
CREATE OR REPLACE TEMP TABLE steps AS
SELECT *, max(span) OVER (PARTITION BY entity_id) AS last_span,
       last_value(stage) OVER whole AS last_stage
FROM (
    SELECT entity_id, process, process_version AS version, stage, outcome, entered, valid_from,
           amount, currency,
           day_only, lead(day_only) OVER way AS next_day_only,
           stage IS NOT NULL AND entered IN ('opened', 'advanced', 'skipped', 'returned',
                                             'reopened', 'won') AS enters,
           row_number() OVER way AS step,
           count(*) FILTER (entered <> 'migrated') OVER way AS span,
           lead(entered) OVER way AS next_entered,
           lead(valid_from) OVER way AS next_from,
           lead(coalesce(stage, outcome)) OVER way AS next_place
    FROM stage_visit_begun($as_of, $known_at)
    WINDOW way AS (PARTITION BY entity_id ORDER BY valid_from, entered <> 'opened', begun)
)
WINDOW whole AS (PARTITION BY entity_id ORDER BY step
                 ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
QUALIFY last_value(outcome) OVER whole <> 'merged';

CREATE OR REPLACE TEMP TABLE cohort AS
SELECT * FROM steps
WHERE enters AND valid_from >= $start AND valid_from < $end
QUALIFY row_number() OVER (PARTITION BY entity_id, process, stage ORDER BY step) = 1;

CREATE OR REPLACE TEMP TABLE moved_on AS
SELECT DISTINCT first.entity_id, first.step
FROM cohort AS first
JOIN steps AS later ON later.entity_id = first.entity_id AND later.span > first.span
JOIN steps AS left_one ON left_one.entity_id = first.entity_id
                      AND left_one.span = first.span AND left_one.step >= first.step
LEFT JOIN stages AS later_is ON later_is.process = later.process
    AND later_is.version = later.version AND later_is.stage = later.stage
LEFT JOIN stages AS left_is ON left_is.process = later.process
    AND left_is.version = later.version AND left_is.stage = left_one.stage
LEFT JOIN stages AS later_was ON later_was.process = left_one.process
    AND later_was.version = left_one.version AND later_was.stage = later.stage
LEFT JOIN stages AS left_was ON left_was.process = left_one.process
    AND left_was.version = left_one.version AND left_was.stage = left_one.stage
WHERE (later.outcome = 'won' AND (first.outcome <> 'won' OR later.entered = 'won'))
   OR (later.enters AND later.process = left_one.process
       AND coalesce(later_is.place > left_is.place, later_was.place > left_was.place));

CREATE OR REPLACE TEMP TABLE followed AS
SELECT cohort.process, cohort.stage, moved_on.step IS NOT NULL AS went_on,
       moved_on.step IS NULL AND NOT (cohort.last_stage IS NOT NULL AND EXISTS (
           SELECT 1 FROM steps AS now
           WHERE now.entity_id = cohort.entity_id AND now.span = now.last_span
             AND now.process = cohort.process AND now.stage = cohort.stage)) AS is_left
FROM cohort LEFT JOIN moved_on USING (entity_id, step)
WHERE cohort.outcome = 'open';

SELECT process, stage, count(*), count(*) FILTER (went_on OR is_left),
       count(*) FILTER (went_on) / nullif(count(*) FILTER (went_on OR is_left), 0)
FROM followed GROUP BY ALL;

SELECT process, stage, count(*),
       days(quantile_cont(lasted(valid_from, day_only, next_from, next_day_only), 0.5))
FROM steps
WHERE stage IS NOT NULL AND outcome = 'open' AND next_from >= $start AND next_from < $end
  AND next_entered NOT IN ('merged', 'migrated')
GROUP BY ALL;

SELECT process, stage, count(*)
FROM deal_state_at($as_of, $known_at) WHERE outcome = 'open' GROUP BY ALL;

SELECT deal.process, deal.stage, count(*)
FROM steps
JOIN deal_state_at($as_of, $known_at) AS deal USING (entity_id)
JOIN stages ON stages.process = deal.process AND stages.version = deal.process_version
           AND stages.stage = steps.stage
WHERE next_from IS NULL AND deal.outcome = 'open'
  AND $as_of - steps.valid_from > max_days * 86400000000
GROUP BY ALL;

SELECT process, stage, currency, sum(amount)
FROM deal_state_at($as_of, $known_at)
WHERE outcome = 'open' AND currency IS NOT NULL
GROUP BY ALL HAVING sum(amount) > 0;
