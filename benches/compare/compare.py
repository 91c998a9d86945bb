#!/usr/bin/env python3
"""Whole GRPO steps beside TRL's, on this machine: both in turn, medians, ratios, one table.

    cargo build --release
    python3 benches/compare/compare.py
    python3 benches/compare/compare.py --model smollm2 --data gsm8k/train.jsonl

The first run makes a Python environment in target/peer (several GB: PyTorch, transformers, TRL). Nothing else may
run meanwhile. Needs Python 3.10 or later.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["torch", "transformers", "trl", "datasets", "accelerate"]
# Name, configuration, and the same shape in the peer's words.
SHAPES = [
    ("tiny", "bench-tiny", dict(prompts=32, group=8, max_new=8, width=128, layers=4, heads=4, kv_heads=2, ff=352)),
    ("small", "bench-small", dict(prompts=16, group=8, max_new=64, width=256, layers=6, heads=8, kv_heads=4, ff=704)),
    ("smollm2", "smollm2-gsm8k", dict(prompts=4, group=4, max_new=96)),
]
# What of a shape is trained by us, beside all weights, in turn with the same peer: name and settings.
CHECKPOINTS = ["gradient_checkpointing=true"]
FORMS = {
    "smollm2": [
        ("", ["gradient_checkpointing=false"]),
        (", adapter", ["lora={}", "gradient_checkpointing=false"]),
        (", adapter, checkpoints", ["lora={}", *CHECKPOINTS]),
        (", adapter on 4 bits, checkpoints", ["lora={base: q4_0}", *CHECKPOINTS]),
    ]
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=[name for name, *_ in SHAPES], help="default: all")
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct, for the shape smollm2")
    parser.add_argument("--data", help="a GSM8K file, for the shape smollm2")
    parser.add_argument("--rounds", type=int, default=3, help="how often each runs (default: 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both (default: all)")
    parser.add_argument("--program", default=str(ROOT / "target/release/wgrpo"), help="ours")
    parser.add_argument("--environment", default=str(ROOT / "target/peer"), help="folder of the Python environment")
    parser.add_argument("--json", help="a file for all figures")
    parser.add_argument("--quick", action="store_true", help="one round of one step: to see that it works")
    args = parser.parse_args()
    for name in ("rounds", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if (args.model is None) != (args.data is None):
        parser.error("--model and --data belong together")
    if not os.access(args.program, os.X_OK):
        parser.error(f"there is no program {args.program}: run `cargo build --release` first, or give --program")
    return args


def peer_python(folder: str) -> str:
    """Python of an environment with TRL, which is made where it is missing."""
    python = pathlib.Path(folder) / "bin" / "python"
    if not python.exists():
        print(f"making a Python environment in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import trl, torch, accelerate, datasets"], capture_output=True).returncode:
        print(f"installing {', '.join(PACKAGES)}", file=sys.stderr)
        # The pip that comes with Python may be too old for what the packages say of themselves.
        for packages in (["pip"], PACKAGES):
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", *packages], check=True)
    return str(python)


def last_json(command: list[str], threads: int) -> dict:
    """The JSON object that a command prints as its last line."""
    threads_of = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads_of})
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads([line for line in done.stdout.splitlines() if line.startswith('{"')][-1])


def ours(args: argparse.Namespace, config: str, settings: list[str], steps: tuple[int, int]) -> dict:
    timed, warmup = steps
    command = [args.program, "bench", str(ROOT / "configs" / f"{config}.yaml"), "--steps", str(timed)]
    command += ["--warmup", str(warmup)]
    if config == "smollm2-gsm8k":
        held_out = (("data.held_out_path", "null"), ("data.held_out", 8))
        for key, value in (("model.path", args.model), ("data.path", args.data), *held_out):
            command += ["--set", f"{key}={value}"]
    for setting in settings:
        command += ["--set", setting]
    return last_json(command, args.threads)


def peers(args: argparse.Namespace, python: str, shape: dict, config: str, steps: tuple[int, int]) -> dict:
    timed, warmup = steps
    command = [python, str(pathlib.Path(__file__).with_name("peer.py")), "--threads", str(args.threads)]
    command += ["--steps", str(timed), "--warmup", str(warmup)]
    if config == "smollm2-gsm8k":
        command += ["--model", args.model, "--data", args.data]
    for name, value in shape.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return last_json(command, args.threads)


def machine() -> str:
    """The processor's name, and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
        flags = next((line for line in lines if line.startswith("flags")), "")
        name += next((f" ({word})" for word in ("avx512f", "avx2") if word in flags.split()), "")
    return f"{name}, {os.cpu_count()} cores"


def versions(python: str) -> str:
    script = "import torch, transformers, trl; print(torch.__version__, transformers.__version__, trl.__version__)"
    numbers = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    return ", ".join(f"{name} {number}" for name, number in zip(("PyTorch", "transformers", "TRL"), numbers))


def median(results: list[dict], key: str) -> float:
    return statistics.median(result[key] for result in results)


def row(name: str, shape: dict, mine: list[dict], theirs: list[dict]) -> str:
    step, other = median(mine, "median_step_s"), median(theirs, "median_step_s")
    cells = [
        f"{name}: {mine[0]['parameters'] / 1e6:.2f} M, {shape['prompts']} × {shape['group']}, ≤ {shape['max_new']} tokens",
        f"{step:.3g} s ({median(mine, 'rollout_s'):.3g}, {median(mine, 'update_s'):.3g})",
        f"{other:.3g} s ({median(theirs, 'rollout_s'):.3g}, {other - median(theirs, 'rollout_s'):.3g})",
        f"**{step / other:.2f}**",
        f"{step / other * median(theirs, 'mean_length') / median(mine, 'mean_length'):.2f}",
        f"{median(mine, 'mean_length'):.1f}, {median(theirs, 'mean_length'):.1f}",
        f"{median(mine, 'max_rss_mib'):.0f}, {median(theirs, 'max_rss_mib'):.0f} MiB",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    args = parse()
    wanted = args.shapes or [name for name, *_ in SHAPES]
    if "smollm2" in wanted and not args.model:
        print("skipped: smollm2, which needs --model and --data", file=sys.stderr)
        wanted.remove("smollm2")
    python = peer_python(args.environment)
    print(f"{machine()}; {args.threads} threads each; {versions(python)}; f32, random rewards\n")
    print("| shape | wgrpo (rollouts, update) | TRL (rollouts, update) | ratio | per token | tokens a rollout | peak memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    results = {}
    for name, config, shape in SHAPES:
        if name not in wanted:
            continue
        steps = (1, 0) if args.quick else (2, 1) if name == "smollm2" else (8, 2)
        forms = FORMS.get(name, [("", [])])
        mine, theirs = {form: [] for form, _ in forms}, []
        for _ in range(1 if args.quick else args.rounds):
            for form, settings in forms:
                mine[form].append(ours(args, config, settings, steps))
            theirs.append(peers(args, python, shape, config, steps))
        for form, _ in forms:
            print(row(name + form, shape, mine[form], theirs), flush=True)
        results[name] = {"wgrpo": mine, "trl": theirs}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"machine": machine(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
