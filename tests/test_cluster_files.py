"""The files for Slurm and Kubernetes: their syntax, the options of sbatch, the keys that a Job needs, and
that each goes on with a run that is there."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from palaestra.trainer.cli.main import COMMANDS, main

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


def choose_command(text: str, folder: Path) -> str:
    """What a script runs for a run in that folder, by its own lines between `if` and `fi`."""
    [choice] = re.findall(r"^ *if .*?^ *fi$", text, re.MULTILINE | re.DOTALL)
    choice = choice.replace("/runs/gsm8k", "$RUN")
    told = f"set -euo pipefail; RUN='{folder}'; MODEL=x\n{choice}\necho ${{ARGUMENTS[0]}}"
    return subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=True).stdout.strip()


def read_scripts() -> dict[str, str]:
    job = yaml.safe_load((FOLDER / "job.yaml").read_text())
    [script] = find(job, "spec.template.spec.containers.0.args")
    return {path.name: path.read_text() for path in SBATCH} | {"job.yaml": script}


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


@pytest.mark.parametrize("name", read_scripts())
def test_what_was_stopped_before_its_first_checkpoint_begins_again(name: str, tmp_path: Path):
    text = read_scripts()[name]
    assert choose_command(text, tmp_path / "none") == "train"
    (tmp_path / "checkpoints" / ".step-000000.partial").mkdir(parents=True)
    assert choose_command(text, tmp_path) == "train"
    (tmp_path / "checkpoints" / "step-000000").mkdir()
    assert choose_command(text, tmp_path) == "resume"


@pytest.mark.parametrize("path", SBATCH, ids=lambda path: path.name)
def test_torchrun_waits_as_long_as_slurm_does_and_has_the_cores_of_its_node(path: Path):
    text = path.read_text()
    given = re.search(r"--signal=TERM@(\d+)", text)
    waited = re.search(r"^export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=(\d+)$", text, re.MULTILINE)
    assert given
    assert waited
    assert int(given[1]) - 30 <= int(waited[1]) < int(given[1])
    assert re.search(r'^exec srun .*--cpus-per-task "\$SLURM_CPUS_PER_TASK"', text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gpus"), [("one-node.sbatch", 8), ("nodes.sbatch", 16), ("job.yaml", 8)])
def test_what_is_trained_fits_by_its_plan(name: str, gpus: int, capsys: pytest.CaptureFixture[str]):
    [flags] = re.findall(
        r"ARGUMENTS=\(train --task gsm8k --model \"\$MODEL\" (.*) --out ", read_scripts()[name]
    )
    model = "Qwen/Qwen2.5-7B-Instruct"
    assert model in (FOLDER / name).read_text()
    assert main(["plan", "--model", model, "--gpus", str(gpus), *flags.split()]) == 0, capsys.readouterr().out


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
    patience = pod["terminationGracePeriodSeconds"]
    assert patience >= 300  # a step ends, and a checkpoint is written
    [container] = pod["containers"]
    [waited] = [each for each in container["env"] if each["name"] == "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]
    assert patience - 30 <= int(waited["value"]) < patience
    assert {"name", "image", "command", "args", "resources", "volumeMounts"} <= container.keys()
    assert int(find(container, "resources.limits")["nvidia.com/gpu"]) >= 1
    assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    [script] = container["args"]
    assert check_shell(script) == ""
    assert list_commands(script) == {"train", "resume"}
    processes = re.search(r"--nproc-per-node (\d+)", script)
    assert processes
    assert int(processes[1]) == find(container, "resources.limits")["nvidia.com/gpu"]
