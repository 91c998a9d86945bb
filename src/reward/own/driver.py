"""Calls a reward function of a file for each line of standard input, as TRL does."""
import asyncio, importlib.util, inspect, json, math, os, sys, traceback

path, name = sys.argv[1:3]
# The pipes are ours alone: what the file prints goes to standard error, and it reads nothing.
requests = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
os.dup2(2, 1)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
sys.stdout = sys.stderr


def answer(value):
    answers.write(json.dumps(value, allow_nan=False) + "\n")
    answers.flush()


def load():
    folder, file = os.path.split(os.path.abspath(path))
    sys.path[0], sys.argv[:] = folder, [path]
    module_name = os.path.splitext(file)[0].replace(".", "_").replace("-", "_")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is no Python file; check path")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        names = [n for n, f in vars(module).items() if inspect.isfunction(f) and not n.startswith("_")]
        raise AttributeError(f"{path} has no function {name}; it has {', '.join(names) or 'none'}")
    return found


def taken(function, columns):
    """What the function takes: everything, or the arguments that it names."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return columns
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return columns
    return {p.name: columns[p.name] for p in parameters if p.name in columns}


def number(at, value):
    if hasattr(value, "item"):
        value = value.item()
    value = None if value is None else float(value)
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{name} gave {value} for completion {at}; give None where it does not apply")
    return value


def scores(function, columns):
    given = function(**taken(function, columns))
    if inspect.isawaitable(given):
        given = loop.run_until_complete(given)
    if given is None:
        raise TypeError(f"{name} gave None; give a list with one number for each completion")
    return [number(at, value) for at, value in enumerate(given)]


loop = asyncio.new_event_loop()
try:
    function = load()
except Exception as error:
    traceback.print_exc()
    answer({"error": f"{type(error).__name__}: {error}"})
    sys.exit(1)
answer({"ready": True})
for line in requests:
    try:
        rewards = scores(function, json.loads(line))
    except Exception as error:
        traceback.print_exc()
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame for frame in frames if frame.filename != "<string>"]
        where = f" ({inside[-1].filename}, line {inside[-1].lineno})" if inside else ""
        answer({"error": f"{type(error).__name__}: {error}{where}"})
    else:
        answer({"rewards": rewards})
