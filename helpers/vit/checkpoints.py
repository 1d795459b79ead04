"""Networks read from their weights, strictly: nothing missing, left over or run as code."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import textwrap

import torch

from helpers import UserError
from helpers.vit.networks import quiet_transformers, random_model, vision_part

# What a configuration says that no feature of a loaded, frozen network depends on: names, labels,
# how it was trained and initialised, which outputs it would return, and its text part.
NOT_ARCHITECTURE = re.compile(
    "_name_or_path|architectures|.*version|.*dtype|.*label.*|problem_type|.*dropout.*|drop_path.*"
    "|init.*|layerscale_value|output_(att|hid).*|return_.*|out_.*|stage_names|use_mask_token"
    "|apply_layernorm|reshape_hidden_states|chunk_size.*|is_encoder_decoder|projection_dim"
    "|encoder_stride|mask_ratio|num_pos_feats|scale|pos_embed_(jitter|shift|rescale)"
)
QUANTISED = (
    "the weights are quantised, so features would be others than those of the network that was "
    "trained: save it in float32, float16 or bfloat16"
)


def read_config(folder):
    """The architecture that a folder in Hugging Face format states, of its image encoder."""
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json: expected a model in Hugging Face format")
    with _told(folder, f"{folder / 'config.json'} cannot be read"), quiet_transformers():
        _refuse_code_and_quantised(folder / "config.json")
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return getattr(config, "vision_config", None) or config


def _refuse_code_and_quantised(path):
    """Raise a UserError where a config, or that of a part, names code or quantised weights."""
    stated = json.loads(path.read_text(encoding="utf-8"))
    for part in (stated, *(value for value in stated.values() if isinstance(value, dict))):
        if "auto_map" in part:
            raise UserError(
                f"{path} names code of its own (auto_map: {part['auto_map']}), which is never "
                "run: expected an architecture of transformers. Where model_type is one, remove "
                "auto_map from the file"
            )
        if part.get("quantization_config"):
            raise UserError(f"{path} holds a quantization_config: {QUANTISED}")


def config_facts(config):
    """What a configuration of transformers says, as JSON has it: lists for tuples."""
    return json.loads(config.to_json_string(use_diff=False))


def read_model(folder, entry):
    """The network in a folder, or an error; nothing may be missing or left over.

    A published one must be of the architecture that `entry` states.
    """
    from transformers import AutoConfig

    checkpoint = next(folder.glob("*.pth.tar"), None)
    if checkpoint and not (folder / "config.json").is_file():
        return _read_torchvision_resnet(checkpoint, entry)
    stated = config_facts(read_config(folder))
    # What the entry leaves out is as the family has it by default.
    expected = {} if entry.folder else config_facts(AutoConfig.for_model(**entry.config))
    for name, value in expected.items():
        if stated.get(name) != value and not NOT_ARCHITECTURE.fullmatch(name):
            raise UserError(
                f"{folder} is no {entry.title}: {name} is {stated.get(name)}, expected {value}. "
                "Put the right weights there, or load the folder by its path"
            )
    with _told(folder, f"{folder} holds no model that can be loaded"):
        return _read_hugging_face(folder, entry)


@contextlib.contextmanager
def _told(folder, fault):
    """Turn what libraries raise of a folder into a UserError, which says the `fault`."""
    from safetensors import SafetensorError

    try:
        yield
    except UserError:
        raise
    except ImportError as error:  # timm's networks, and some others
        raise UserError(
            f"{folder} holds a model that another library computes, so it cannot be loaded; "
            f"choose one that transformers computes itself: {' '.join(str(error).split())}"
        ) from error
    except (pickle.UnpicklingError, SafetensorError, EOFError) as error:
        raise UserError(
            f"{folder}: the weights are damaged, or a pickle that holds more than weights and "
            f"could run code; only safetensors and plain weights are loaded: {error}"
        ) from error
    except Exception as error:  # what transformers raises is of no one kind
        raise UserError(f"{fault}: {textwrap.shorten(str(error), 500)}") from error


def _read_hugging_face(folder, entry):
    from transformers import AutoModel

    with quiet_transformers():
        model, report = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that the report names them
        )
    missing = set(report["missing_keys"])
    pooler = {key for key in missing if key.startswith("pooler.")}
    if pooler and entry.pooling != "pooler":
        missing -= pooler
        model.pooler = None  # its weights would be random; nobody asks for its output
    # Not learned, and saved by old versions of transformers only.
    surplus = {key for key in report["unexpected_keys"] if not key.endswith("position_ids")}
    mismatched = {key for key, *_ in report["mismatched_keys"]}
    _refuse(folder, model, missing, surplus, mismatched)
    for name, weights in model.named_parameters():
        some = weights.detach().flatten()[:1000]
        # Integers are read as if they were weights; a constant may be one.
        if weights.ndim > 1 and len(some.unique()) > 1 and torch.equal(some, some.round()):
            raise UserError(f"{folder}: {name} holds integers: {QUANTISED}")
    return vision_part(model)


def _read_torchvision_resnet(path, entry):
    """MicroNet's checkpoint: torchvision's names and a classification layer, which is dropped."""
    model = random_model(entry.config, seed=0)
    with _told(path, f"{path} holds no ResNet-50 under torchvision's names ('conv1.weight', ...)"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        # Training on several GPUs (DataParallel) puts "module." before every name.
        plain = {key.removeprefix("module."): weights for key, weights in state.items()}
        model.load_state_dict({_resnet_key(k): w for k, w in plain.items() if k[:3] != "fc."})
    return model


def _resnet_key(key):
    """torchvision's name of a weight -> transformers' name."""
    key = re.sub(r"^(conv|bn)1\.", r"embedder.embedder.\1.", key)
    key = re.sub(r"^layer(\d)", lambda m: f"encoder.stages.{int(m[1]) - 1}.layers", key)
    key = re.sub(r"\.(conv|bn)(\d)\.", lambda m: f".layer.{int(m[2]) - 1}.{m[1]}.", key)
    key = key.replace("downsample.0", "shortcut.conv").replace("downsample.1", "shortcut.bn")
    return key.replace(".conv.", ".convolution.").replace(".bn.", ".normalization.")


def _refuse(folder, model, missing, surplus, mismatched):
    """Raise a UserError where a checkpoint is not, name by name, the weights of a network."""

    def some(keys, kind):
        return f"{len(keys)} {kind} weights ({', '.join(sorted(keys)[:3])}, ...)"

    if mismatched or 2 * len(missing) > len(model.state_dict()):
        raise UserError(
            f"{folder}: the weights are of another architecture than {model.config.model_type} as "
            f"configured: {some(missing | mismatched, 'missing or differently shaped')}. Put the "
            "weights and the config.json of one and the same network there"
        )
    if missing:
        raise UserError(
            f"{folder}: {some(missing, 'missing')}. The network would be partly random, not the "
            "one that was trained; save the model that the config.json describes"
        )
    if surplus:
        place, bare = folder.as_posix(), getattr(model, "pooler", 0) is None
        bare = ", add_pooling_layer=False" * bare  # else the copy would have a random one
        code = f"AutoModel.from_pretrained('{place}'{bare}).save_pretrained('{place}-stripped')"
        raise UserError(
            f"{folder}: {some(surplus, 'surplus')}, such as those of a classification "
            "head, which no feature needs. This writes a copy without them: python -c "
            f'"from transformers import AutoModel; {code}". Take its preprocessor_config.json '
            "along, if it has one"
        )
