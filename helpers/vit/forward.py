"""Batches of images through a network, with all cores or the GPU kept busy."""

from __future__ import annotations

import collections
import os
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import psutil
import torch

from helpers import UserError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Tokens in one forward pass. On a CPU the arrays of a batch should stay near the cache.
CPU_TOKENS, GPU_TOKENS = 640, 32768


def device_and_dtype(device, dtype):
    """What computes, and in which precision; None as `load_encoder` says."""
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype is None:
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype = DTYPES.get(dtype, dtype)
    if not isinstance(dtype, torch.dtype):
        raise UserError(f"dtype is {dtype!r}: expected {' or '.join(DTYPES)}, or a torch.dtype")
    return device, dtype


def n_cores():
    """Number of cores that this process may use; ``OMP_NUM_THREADS`` can make it fewer."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = joblib.cpu_count()
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


def n_tokens(entry, shape):
    """Tokens of an image of `shape` (height, width), about."""
    patch = entry.patch or 16  # a network without patches works as hard as one of about 16
    return 1 + shape[0] * shape[1] // patch**2


def choose_batch_size(encoder, shape):
    """Images in one forward pass.

    It depends on nothing but the network, the device and the shape, so that two runs make the
    same batches. With as many workers they give the same bits.
    """
    limit = CPU_TOKENS if encoder.device.type == "cpu" else GPU_TOKENS
    return max(1, limit // n_tokens(encoder.entry, shape))


def choose_workers(encoder, shape, batch_size):
    """Threads of `forward_batches`: one a core, on a CPU as long as the memory holds them all."""
    if encoder.device.type != "cpu":
        return n_cores()
    batch_size = batch_size or choose_batch_size(encoder, shape)
    tokens, config = n_tokens(encoder.entry, shape), encoder.entry.config
    width = config.get("hidden_size") or 512
    # SAM, which adds positions to its attention maps, keeps these in memory; the others do not.
    maps = tokens**2 * config.get("num_attention_heads", 0) if "window_size" in config else 0
    one = 4 * batch_size * (24 * tokens * width + 3 * maps) + 2**27  # bytes of one pass, about
    fitting = psutil.virtual_memory().available // 2 // one
    return int(np.clip(fitting, 1, n_cores()))


def in_batches(encoder, shapes, done, size):
    """Indices in batches of one shape, those left out that are done.

    Batches do not depend on what is done, so that a rerun gives the same bits.
    """
    groups = collections.defaultdict(list)
    for i, shape in shapes.items():
        groups[shape].append(i)
    batches = []
    for shape, members in groups.items():
        step = size or choose_batch_size(encoder, shape)
        chunks = (members[k : k + step] for k in range(0, len(members), step))
        batches += [chunk for chunk in chunks if not all(i in done for i in chunk)]
    return batches


def forward_batches(encoder, load, batches, *, workers):
    """Yield each batch with its features (n, n_features), in order, while the next are under way.

    `load` gives the pixels of a batch, float32 (n, c, H, W). On a CPU each of the `workers`,
    which are threads, loads and computes a batch with its share of the cores: passes side by side
    keep two cores busier than one pass on both, and reading overlaps with computing. On a GPU
    they load, and the calling thread computes.
    """
    on_cpu = encoder.device.type == "cpu"

    def work(batch):
        pixels = torch.from_numpy(load(batch))
        return encoder(pixels) if on_cpu else pixels.pin_memory()

    def finish(batch, future):
        result = future.result()
        return batch, (result if on_cpu else encoder(result)).numpy()

    before = torch.get_num_threads()
    share = max(1, n_cores() // workers) if on_cpu else 1
    waiting = collections.deque()
    # Threads of torch belong to the thread that asks for them; the caller's stay as they are.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(share,))
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(work, batch)))
            if len(waiting) > workers + 1:
                yield finish(*waiting.popleft())
        while waiting:
            yield finish(*waiting.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)
