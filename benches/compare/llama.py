#!/usr/bin/env python3
"""Tokens a second of generation by llama.cpp on this machine, for 1, 4, 16 and 64 rows at once: one JSON line.

    python3 -m venv target/peer && target/peer/bin/pip install --upgrade pip && target/peer/bin/pip install xllamacpp gguf
    target/peer/bin/python benches/compare/llama.py MODEL.gguf
    target/peer/bin/python benches/compare/llama.py MODEL.gguf --f32 MODEL-f32.gguf

With `--f32` the weights are first written out as f32, so that both programs read as many bytes. Compare with
`wgrpo bench CONFIG --decode 1,4,16,64` on the same machine, with nothing else running.
"""
import argparse
import concurrent.futures
import json
import os
import statistics

PROMPT = "The history of the city of {} is long, and begins with"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--f32", help="write the model with f32 weights to this file, and time that")
    parser.add_argument("--rows", default="1,4,16,64", help="numbers of rows (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=64, help="of each row (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is timed (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all")
    return parser.parse_args()


def write_f32(source: str, target: str) -> None:
    """The same GGUF file with every tensor as f32."""
    import gguf

    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), field.types[0], inner)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def server(model: str, rows: int, args: argparse.Namespace):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_parallel = rows
    params.n_ctx = rows * (args.tokens + 64)
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    params.warmup = True
    return xllamacpp.Server(params)


def tokens_per_s(llama, rows: int, tokens: int) -> float:
    """All rows' tokens after the prompts, by the time that the slowest row took for its own."""
    request = dict(n_predict=tokens, ignore_eos=True, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, cache_prompt=False)

    def one(row: int) -> dict:
        return llama.handle_completions({**request, "prompt": PROMPT.format(row), "seed": row})

    with concurrent.futures.ThreadPoolExecutor(rows) as pool:
        timings = [answer["timings"] for answer in pool.map(one, range(rows))]
    slowest = max(timing["predicted_ms"] for timing in timings) / 1000
    return sum(timing["predicted_n"] for timing in timings) / slowest


def main() -> None:
    args = parse()
    if args.f32:
        write_f32(args.model, args.f32)
    model = args.f32 or args.model
    decode = []
    for rows in map(int, args.rows.split(",")):
        llama = server(model, rows, args)
        speeds = [tokens_per_s(llama, rows, args.tokens) for _ in range(args.repeats + 1)][1:]
        decode.append({"rows": rows, "tokens_per_s": round(statistics.median(speeds), 1)})
        del llama
    print(json.dumps({"model": os.path.basename(model), "threads": args.threads, "decode": decode}))


if __name__ == "__main__":
    main()
