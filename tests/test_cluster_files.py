"""The files for Slurm and Kubernetes: their syntax, the options of sbatch, the keys that a Job needs, and
that each goes on with a run that is there."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from palaestra.trainer.cli.main import COMMANDS

FOLDER = Path(__file__).parent.parent / "examples" / "cluster"
SBATCH = sorted(FOLDER.glob("*.sbatch"))
OPTIONS = {  # of sbatch, each with the form of its value
    "job-name": r"\S+",
    "nodes": r"\d+",
    "ntasks-per-node": r"1",  # torchrun starts the processes of a node
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[KMGT]?",
    "time": r"(\d+-)?\d\d:\d\d:\d\d",
    "signal": r"TERM@\d+",
    "requeue": None,
    "output": r"\S+",
}
NEEDED = {"nodes", "ntasks-per-node", "gpus-per-node", "time", "signal", "output"}


def list_faults(text: str) -> list[str]:
    """What is wrong with the lines for sbatch of a script."""
    faults, seen, begun = [], dict[str, str](), False
    for line in text.splitlines():
        if line.startswith("#SBATCH"):
            found = re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(.*))?", line)
            if begun or not found or found[1] not in OPTIONS or found[1] in seen:
                faults.append(line)
                continue
            form, value = OPTIONS[found[1]], found[2]
            if (value is None) != (form is None) or (form and not re.fullmatch(form, value)):
                faults.append(line)
            seen[found[1]] = value
        elif line and not line.startswith("#"):
            begun = True  # sbatch reads no further
    return faults + [f"no --{name}" for name in sorted(NEEDED - seen.keys())]


def check_shell(text: str) -> str:
    """What bash says of a script that it reads without running it."""
    return subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True).stderr


def list_commands(text: str) -> set[str]:
    """The commands of palaestra that a script may run."""
    assert "-m palaestra" in text
    return set(re.findall(r"ARGUMENTS=\((\S+)", text))


def find(tree: Any, path: str) -> Any:
    """What stands at a path of keys and places of a YAML document."""
    for part in path.split("."):
        tree = tree[int(part) if part.isdecimal() else part]
    return tree


@pytest.mark.parametrize("path", SBATCH, ids=lambda path: path.name)
def test_a_slurm_script_is_sound_and_goes_on_with_a_run_that_is_there(path: Path):
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n")
    assert check_shell(text) == ""
    assert list_faults(text) == []
    assert "set -euo pipefail" in text
    assert list_commands(text) == {"train", "resume"} <= COMMANDS.keys()


def test_both_kinds_of_slurm_job_are_there():
    assert {path.name for path in SBATCH} == {"one-node.sbatch", "nodes.sbatch"}


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("#SBATCH --nodes=2", "#SBATCH --node=2"),
        ("#SBATCH --time=24:00:00", "#SBATCH --time=24h"),
        ("#SBATCH --signal=TERM@300", ""),
        ("#SBATCH --ntasks-per-node=1", "#SBATCH --ntasks-per-node=8"),
        ("#SBATCH --requeue", "echo begun\n#SBATCH --requeue"),
    ],
)
def test_a_wrong_line_for_sbatch_is_found(line: str, other: str):
    text = (FOLDER / "nodes.sbatch").read_text()
    assert line in text
    assert list_faults(text.replace(line, other))


def test_a_script_that_bash_cannot_read_is_found():
    assert "syntax error" in check_shell((FOLDER / "nodes.sbatch").read_text().replace("\nfi\n", "\n"))


def test_the_kubernetes_job_has_what_a_job_needs():
    job = yaml.safe_load((FOLDER / "job.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert re.fullmatch(r"[a-z0-9-]+", find(job, "metadata.name"))
    pod = find(job, "spec.template.spec")
    assert pod["restartPolicy"] in ("OnFailure", "Never")  # a Job takes no other
    assert pod["terminationGracePeriodSeconds"] >= 300  # a step ends, and a checkpoint is written
    [container] = pod["containers"]
    assert {"name", "image", "command", "args", "resources", "volumeMounts"} <= container.keys()
    assert int(find(container, "resources.limits")["nvidia.com/gpu"]) >= 1
    assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    [script] = container["args"]
    assert check_shell(script) == ""
    assert list_commands(script) == {"train", "resume"}
    processes = re.search(r"--nproc-per-node (\d+)", script)
    assert processes
    assert int(processes[1]) == find(container, "resources.limits")["nvidia.com/gpu"]
