"""Names of the files in the folders of runs and evaluations."""

CONFIG, FACTS, METRICS = "config.json", "facts.json", "metrics.jsonl"
ROLLOUTS = "rollouts.jsonl"  # every completion that a run learned from
HELD_OUT = "held_out"  # folder of the evaluations of a run, one a step
OF_A_RUN = "held-out"  # what the facts of such an evaluation name as their command
LEDGER = "ledger.json"
ENGINE = "engine"  # folder for what an engine's server says
END = "end.json"  # how a run ended
TRIPPED = "report.json"  # which tripwires stopped it
REPORT, PLOT, CURVES = "report.html", "plot", "curves.png"  # what shows a run; the second without its ending
INDEX = "query.sqlite"  # tables over the completions, for `palaestra query`
SUMMARY, COMPLETIONS = "summary.json", "completions.jsonl"  # of an evaluation
ARMS, START = "arms.json", "start"  # of several arms: their settings, the model that all begin with
