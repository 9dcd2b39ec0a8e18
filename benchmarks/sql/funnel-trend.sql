CREATE OR REPLACE TEMP TABLE cells AS
SELECT month_end, process, stage, outcome, currency, count(*) AS deals, sum(amount) AS amount,
       sum(amount::HUGEINT * probability) AS weighted
FROM (SELECT unnest($ends) AS month_end)
JOIN deal_state ON valid_from <= month_end
 AND (valid_to > month_end OR (collapsed = 1 AND valid_to > $known_at))
WHERE known_from <= $known_at AND known_to > $known_at
GROUP BY ALL;

SELECT month_end, process, stage, sum(deals), sum(if(currency IS NULL, deals, 0))
FROM cells WHERE outcome = 'open' GROUP BY ALL;

SELECT month_end, process, stage, currency, sum(amount), sum(weighted)
FROM cells WHERE outcome = 'open' AND currency IS NOT NULL GROUP BY ALL;

SELECT month_end, outcome, sum(deals) FROM cells WHERE outcome <> 'open' GROUP BY ALL;

SELECT month_end, outcome, currency, sum(amount)
FROM cells WHERE outcome <> 'open' AND currency IS NOT NULL GROUP BY ALL;
