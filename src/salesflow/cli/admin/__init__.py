"""Commands for whoever keeps a log: status, check, rebuild, process, log, retract."""
