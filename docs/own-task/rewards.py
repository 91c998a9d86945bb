import json


def person(completions, name, age, **columns):
    """A third for JSON that has both keys, and a third for each that is right."""
    scores = []
    for completion, right_name, right_age in zip(completions, name, age):
        # The answer to a conversation is a list of turns.
        text = completion if isinstance(completion, str) else completion[-1]["content"]
        try:
            found = json.loads(text)
            named = found["name"] == right_name
            aged = found["age"] == right_age
            scores.append((1 + named + aged) / 3)
        except (ValueError, TypeError, KeyError):
            scores.append(0.0)
    return scores
