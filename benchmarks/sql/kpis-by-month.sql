CREATE OR REPLACE TEMP TABLE months AS
SELECT unnest($starts) AS start, unnest($ends) AS finish;

CREATE OR REPLACE TEMP TABLE deals AS
SELECT *, lasted(opened, opened_day_only, closed, closed_day_only) AS cycle
FROM closing_at($as_of, $known_at)
WHERE outcome <> 'merged';

SELECT start, currency, sum(sign * amount::HUGEINT * share)
FROM months JOIN booking_by($as_of, $known_at) ON occurred >= start AND occurred < finish
WHERE currency IS NOT NULL
GROUP BY ALL
HAVING sum(sign * amount::HUGEINT * share) <> 0;

SELECT start, sum(sign)
FROM months JOIN booking_by($as_of, $known_at) ON occurred >= start AND occurred < finish
WHERE kind = 'repeated' AND role = 'owner'
GROUP BY ALL
HAVING sum(sign) <> 0;

SELECT start, count(*), count(*) FILTER (outcome = 'won'), count(*) FILTER (outcome = 'open')
FROM months JOIN deals ON opened >= start AND opened < finish
GROUP BY ALL;

SELECT start, count(*) FILTER (outcome = 'won'), count(*) FILTER (outcome = 'lost'),
       count(*) FILTER (outcome = 'disqualified'),
       days(quantile_cont(cycle, 0.5) FILTER (outcome = 'won')),
       days(avg(cycle) FILTER (outcome = 'won')),
       days(quantile_cont(cycle, 0.9) FILTER (outcome = 'won'))
FROM months JOIN deals ON closed >= start AND closed < finish
GROUP BY ALL;

SELECT start, channel, count(*)
FROM months JOIN contact_at($as_of, $known_at) ON occurred >= start AND occurred < finish
GROUP BY ALL;

SELECT start, count(DISTINCT entity_id)
FROM months JOIN contact_at($as_of, $known_at) ON occurred >= start AND occurred < finish
GROUP BY ALL;

SELECT start, days(quantile_cont(waited, 0.5)), days(avg(waited)),
       days(quantile_cont(waited, 0.9))
FROM (
    SELECT start, lasted(deals.opened, deals.opened_day_only, occurred, day_only) AS waited
    FROM months
    JOIN deals ON opened >= start AND opened < finish
    JOIN (
        SELECT entity_id, occurred, day_only FROM contact_at($as_of, $known_at)
        WHERE direction = 'out'
        QUALIFY row_number() OVER (PARTITION BY entity_id ORDER BY occurred, position) = 1
    ) USING (entity_id)
)
GROUP BY ALL;

SELECT start, count(*) FILTER (score >= 4), count(*)
FROM months JOIN feedback_at($as_of, $known_at) ON occurred >= start AND occurred < finish
WHERE kind = 'received' AND scale = 'csat' AND score IS NOT NULL
GROUP BY ALL;
