"""A second, slow and plain implementation of what salesflow promises, sharing no code with it.

It reads raw events only (`oracle.beliefs.Raw`: dicts as they lie in the log, payloads as JSON)
and answers by replaying everything for every question, with dicts and loops. What the engine
stores and sums has to agree with it at every moment of both time axes.
"""
