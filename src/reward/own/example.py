"""A reward of your own: change `reward`, and name this file in the configuration."""
import json
import sys


def reward(prompts, completions, answer=None, **columns):
    """One number for each completion, or None where this reward does not apply."""
    scores = []
    for completion, right in zip(completions, answer or [None] * len(completions)):
        # A conversation is answered by a list of turns, plain text by text.
        text = completion if isinstance(completion, str) else completion[-1]["content"]
        scores.append(None if right is None else float(str(right) in text))
    return scores


if __name__ == "__main__":
    # One request a line in, one answer a line out; print everything else to sys.stderr.
    for line in sys.stdin:
        print(json.dumps({"rewards": reward(**json.loads(line))}), flush=True)
