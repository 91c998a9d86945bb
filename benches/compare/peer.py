#!/usr/bin/env python3
"""One measurement of the peer: TRL's GRPOTrainer on the CPU in f32, a fixed shape, one JSON line.

Needs torch, transformers, trl, datasets and accelerate; `compare.py` installs them and calls this. Rewards are
seeded random numbers, as in `wgrpo bench`: each rollout then has a signal, so that nobody gains by leaving some out.
"""
import argparse
import json
import os
import random
import resource
import statistics
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl import GRPOConfig, GRPOTrainer


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in dict(prompts=32, group=8, max_new=8, width=128, layers=4, heads=4, kv_heads=2, ff=352).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--model", help="a model folder in place of a random one")
    parser.add_argument("--data", help="a GSM8K file, with --model")
    parser.add_argument("--steps", type=int, default=8, help="steps that are timed")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def tiny(args: argparse.Namespace):
    """A random Llama over the characters of sums, and two-digit additions."""
    characters = list("0123456789+-*/=() ")
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<eos>", "<bos>", *characters])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.Fuse()
    special = dict(pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, padding_side="left", **special)
    config = LlamaConfig(
        vocab_size=64, hidden_size=args.width, intermediate_size=args.ff, num_hidden_layers=args.layers,
        num_attention_heads=args.heads, num_key_value_heads=args.kv_heads, max_position_embeddings=256,
        tie_word_embeddings=True, pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )
    sums = ([random.randint(10, 99), random.randint(10, 99)] for _ in range(4096))
    return LlamaForCausalLM(config), tokenizer, [{"prompt": f"{a}+{b}="} for a, b in sums]


def real(args: argparse.Namespace):
    """A model folder, and questions of a GSM8K file as chats."""
    with open(args.data, encoding="utf-8") as lines:
        questions = [json.loads(line)["question"] for line, _ in zip(lines, range(64))]
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(args.model, padding_side="left")
    return model, tokenizer, [{"prompt": [{"role": "user", "content": question}]} for question in questions]


class Clock(TrainerCallback):
    """Seconds of each step, and what TRL logs."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.lengths: list[float] = []

    def on_step_begin(self, *_, **__) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_, **__) -> None:
        self.seconds.append(time.perf_counter() - self.began)

    def on_log(self, args, state, control, logs=None, **_) -> None:
        if logs and "completions/mean_length" in logs:
            self.lengths.append(logs["completions/mean_length"])


class Timed(GRPOTrainer):
    """The trainer with a clock around its rollouts."""

    rollout_seconds: list[float] = []

    def _generate_and_score_completions(self, *given, **named):
        began = time.perf_counter()
        made = super()._generate_and_score_completions(*given, **named)
        self.rollout_seconds.append(time.perf_counter() - began)
        return made


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    random.seed(0)
    model, tokenizer, rows = real(args) if args.model else tiny(args)
    rollouts = args.prompts * args.group
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=rollouts, num_generations=args.group,
        max_completion_length=args.max_new, max_steps=args.warmup + args.steps, beta=0.0, loss_type="grpo",
        learning_rate=1e-6 if args.model else 1e-3, logging_steps=1, report_to="none", save_strategy="no",
        use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True, temperature=1.0, seed=0,
    )
    clock = Clock()
    trainer = Timed(
        model=model, args=config, processing_class=tokenizer, train_dataset=Dataset.from_list(rows),
        reward_funcs=lambda completions, **_: [random.random() for _ in completions], callbacks=[clock],
    )
    trainer.train()
    rollout_seconds = Timed.rollout_seconds[-args.steps:]
    print(json.dumps({
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "median_step_s": statistics.median(clock.seconds[-args.steps:]),
        "rollout_s": statistics.median(rollout_seconds),
        "mean_length": statistics.mean(clock.lengths[-args.steps:]),
        "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main()
