CREATE OR REPLACE TEMP TABLE cells AS
SELECT process, stage, outcome, currency, count(*) AS deals, sum(amount) AS amount,
       sum(amount::HUGEINT * probability) AS weighted
FROM deal_state_at($as_of, $known_at)
GROUP BY ALL;

SELECT process, stage, sum(deals), sum(if(currency IS NULL, deals, 0))
FROM cells WHERE outcome = 'open' GROUP BY ALL;

SELECT process, stage, currency, sum(amount), sum(weighted)
FROM cells WHERE outcome = 'open' AND currency IS NOT NULL GROUP BY ALL;

SELECT outcome, sum(deals) FROM cells WHERE outcome <> 'open' GROUP BY ALL;

SELECT outcome, currency, sum(amount)
FROM cells WHERE outcome <> 'open' AND currency IS NOT NULL GROUP BY ALL;
