"""Small networks of transformers' families of vision models, each with what its features are.

`TRIED` says for a family how a small one is made, and where its patches are: how many tokens
stand before them (a number), or which axes of its maps are rows and columns (a pair). None: it is
to be refused. ``python tests/families.py`` rewrites ``data/families.csv`` from a run over all.
"""

import csv
import re
import tempfile
import textwrap
from pathlib import Path

import torch
from safetensors.torch import save_file
from small_networks import SAM, SMALL, realistic, save
from transformers import CONFIG_MAPPING, MODEL_MAPPING, AutoModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_MAPPING_NAMES

from helpers import UserError
from helpers.encoders import ENCODERS, POOLINGS, load_encoder
from helpers.vit.networks import quiet_transformers

TABLE = Path(__file__).parents[1] / "data" / "families.csv"
FIELDS = ("family", "state", "poolings", "input", "licence", "reason")
VIT = {**SMALL, "intermediate_size": 64, "image_size": 64, "patch_size": 16}
TEXT = {**SMALL, "intermediate_size": 64, "vocab_size": 99, "bos_token_id": 1}
OPTIONS = {"dinov2": {"interpolation": "hf"}}
FIRST, LAST = (2, 3), (1, 2)  # maps of shape (n, c, h, w), and (n, h, w, c)
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
SWIN = {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "image_size": 64, "window_size": 4}
PYRAMID = {
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 2, 2],
}
SAM2 = {
    "backbone_config": {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 24, 32],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [3],
    },
    "backbone_channel_list": [32, 24, 16, 8],
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    "fpn_hidden_size": 16,
}
SAM3 = {
    "backbone_config": {
        "model_type": "sam3_vit_model",
        **VIT,
        "image_size": 56,
        "patch_size": 14,
        "pretrain_image_size": 28,
        "window_size": 2,
        "global_attn_indexes": [1],
    },
    "fpn_hidden_size": 16,
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
}
EFFICIENT = {"width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320}
EFFICIENT["initializer_range"] = 0.1  # else nothing of the image is left at its end
RESNET = {"embedding_size": 8, **STAGES}
TRIED = {
    "aimv2_vision_model": (VIT, 0),
    "beit": (VIT, 1),
    "bit": ({"embedding_size": 32, "hidden_sizes": [128, 128], "depths": [1, 1]}, FIRST),
    "chinese_clip_vision_model": (VIT, 1),
    "clip": ({"vision_config": VIT, "text_config": TEXT}, 1),
    "clip_vision_model": (VIT, 1),
    "convnext": (STAGES, FIRST),
    "convnextv2": (STAGES, FIRST),
    "cvt": ({"embed_dim": [8, 16, 32], "num_heads": [1, 2, 2], "depth": [1, 2, 3]}, FIRST),
    "data2vec-vision": (VIT, 1),
    "deit": (VIT, 2),
    "detr": (
        {
            "backbone_config": {"model_type": "resnet", **RESNET, "out_features": ["stage4"]},
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "num_queries": 16,
        },
        None,
    ),
    "dinov2": ({**SMALL, "image_size": 70, "patch_size": 14}, 1),
    "dinov2_with_registers": ({**SMALL, "image_size": 70, "patch_size": 14}, 5),
    "dinov3_convnext": (STAGES, 1),
    "dinov3_vit": ({**VIT, "num_register_tokens": 4}, 5),
    "efficientnet": ({**EFFICIENT, "image_size": 64}, FIRST),
    "focalnet": (
        {
            "embed_dim": 8,
            "depths": [1, 1],
            "image_size": 64,
            "hidden_sizes": [8, 16],
            "focal_levels": [1, 1],
            "focal_windows": [3, 3],
        },
        0,
    ),
    "hiera": ({"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2]}, 0),
    "ijepa": (VIT, 0),
    "internvl_vision": ({**VIT, "image_size": [64, 64], "patch_size": [16, 16]}, 1),
    "levit": (
        {
            "hidden_sizes": [16, 24, 32],
            "num_attention_heads": [2, 2, 2],
            "depths": [1, 1, 1],
            "key_dim": [8, 8, 8],
            "image_size": 64,
        },
        0,
    ),
    "metaclip_2": ({"vision_config": VIT, "text_config": {**TEXT, "eos_token_id": 2}}, 1),
    "mlcd_vision_model": (VIT, 1),
    "mobilenet_v1": ({"depth_multiplier": 0.25, "image_size": 64}, FIRST),
    "mobilenet_v2": ({"depth_multiplier": 0.25, "image_size": 64}, FIRST),
    "mobilevit": (
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32],
            "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32],
        },
        FIRST,
    ),
    "mobilevitv2": ({"width_multiplier": 0.25, "image_size": 64}, FIRST),
    "pixio": (VIT, 8),
    "pixtral": (VIT, None),
    "poolformer": (PYRAMID, FIRST),
    "pvt": ({**PYRAMID, "image_size": 64}, 1),
    "pvt_v2": ({**PYRAMID, "image_size": 64}, FIRST),
    "radio": ({**SMALL, "image_size": 64, "patch_size": 16}, 10),
    "regnet": ({"embedding_size": 8, **STAGES, "groups_width": 8}, FIRST),
    "resnet": (RESNET, FIRST),
    "aimv2": ({"vision_config": VIT, "text_config": TEXT}, 0),
    "chinese_clip": ({"vision_config": VIT, "text_config": TEXT}, 1),
    "siglip": ({"vision_config": VIT, "text_config": TEXT}, 0),
    "sam": ({"vision_config": SAM}, FIRST),
    "sam_hq": ({"vision_config": SAM}, FIRST),
    "sam2": ({"vision_config": SAM2}, LAST),
    "tipsv2": ({"vision_config": VIT, "text_config": TEXT}, 2),
    "sam_hq_vision_model": (SAM, FIRST),
    "sam_vision_model": (SAM, FIRST),
    "sam2_vision_model": (SAM2, LAST),
    "sam3_vision_model": (SAM3, 0),
    "sapiens2": ({**VIT, "num_register_tokens": 3}, 4),
    "segformer": ({**PYRAMID, "image_size": 64}, FIRST),
    "siglip_vision_model": (VIT, 0),
    "siglip2_vision_model": ({k: v for k, v in VIT.items() if k != "image_size"}, None),
    "swiftformer": (
        {"image_size": 64, "depths": [1, 1, 1, 1], "embed_dims": [8, 16, 24, 32]},
        FIRST,
    ),
    "swin": (SWIN, 0),
    "swin2sr": (SWIN, FIRST),
    "swinv2": (SWIN, 0),
    "timesformer": (VIT, None),
    "timm_wrapper": ({"architecture": "resnet18"}, None),
    "tipsv2_vision_model": (VIT, 2),
    "videomae": (VIT, None),
    "vit": (VIT, 1),
    "vit_mae": (VIT, 1),
    "vit_msn": (VIT, 1),
    "vitdet": ({**VIT, "dropout_prob": 0.0}, FIRST),
    "vivit": (VIT, None),
    "vjepa2": ({**VIT, "crop_size": 64}, None),
    "yolos": ({**VIT, "image_size": [64, 64], "num_detection_tokens": 10}, None),
}


def vision_families():
    """Model types whose `AutoModel` class takes pixels, or has a part that does."""
    names = []
    for name, kind in CONFIG_MAPPING.items():
        try:
            model = MODEL_MAPPING[kind]
            model = model[0] if isinstance(model, tuple) else model
            takes = model.main_input_name
        except (KeyError, ValueError, ImportError):  # no AutoModel, or not installed
            continue
        if "pixel_values" in str(takes) or "vision_config" in kind.sub_configs:
            names.append(name)
    return sorted({*names, *MODEL_FOR_IMAGE_MAPPING_NAMES})


def small_folder(family, folder):
    """A small network of a family, saved in `folder`."""
    kind = CONFIG_MAPPING[family]
    with quiet_transformers():
        config = kind(**TRIED[family][0])
    if family == "timm_wrapper":  # of a library that is not installed
        config.save_pretrained(folder)
        save_file({"weight": torch.zeros(1)}, folder / "model.safetensors", {"format": "pt"})
        return folder
    model = MODEL_MAPPING[kind]
    model = realistic(model[0] if isinstance(model, tuple) else model, config)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    if norms:  # statistics as after training; without them small activations die out
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            model.train()(pixel_values=torch.rand(4, 3, 64, 64))
    return save(model.eval(), folder)


def reference(folder, pooling, images):
    """Features by what `TRIED` says, straight from what transformers' own class returns."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    model = getattr(model, "vision_model", getattr(model, "vision_encoder", model))
    options, patches = {}, TRIED[folder.name][1]
    if folder.name == "vit_mae":  # every patch is kept, in its order
        model.config.mask_ratio = 0.0
        options["noise"] = torch.arange(16.0).expand(len(images), -1)
    with torch.no_grad():
        output = model(pixel_values=images, **options)
    if pooling == "pooler":
        return output.pooler_output.flatten(1)
    if pooling == "cls":
        return output.last_hidden_state[:, 0]
    if isinstance(patches, tuple):
        return output.last_hidden_state.mean(patches)
    return output.last_hidden_state[:, patches:].mean(1)


def try_family(family, folder):
    """Its encoders {pooling: Encoder}, and why other poolings are refused."""
    encoders, refused = {}, {}
    small_folder(family, folder)
    for pooling in POOLINGS:
        try:
            encoders[pooling] = load_encoder(folder, pooling=pooling, **OPTIONS.get(family, {}))
        except UserError as error:
            refused[pooling] = str(error)
    return encoders, refused


def row_of(family, parent):
    """What the table says of a family, "right" where features are those of `reference`."""
    named = [e for e in ENCODERS.values() if e.hub_id and e.config["model_type"] == family]
    licences = "; ".join(sorted({entry.licence for entry in named}))
    row = dict.fromkeys(FIELDS, "") | {"family": family, "licence": licences}
    if family not in TRIED:
        reads = "vision_config" in CONFIG_MAPPING[family].sub_configs
        return row | {"state": "not tried", "reason": "with parts for texts" if reads else ""}
    encoders, refused = try_family(family, parent / family)
    if not encoders:
        reason = re.sub(r"^.*?pooling='cls' \((.*)\): choose.*$", r"\1", refused["cls"])
        reason = reason.replace(f"{parent / family}", "it")
        return row | {
            "state": "refused",
            "reason": textwrap.shorten(reason, 120, placeholder="..."),
        }
    for pooling, encoder in encoders.items():
        side = encoder.entry.input_size or 5 * encoder.entry.crop
        images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
        expected = reference(parent / family, pooling, images)
        torch.testing.assert_close(encoder(images), expected, rtol=1e-4, atol=1e-5)
    entry = encoder.entry
    fixed = "square, of one size"
    return row | {
        "state": "right",
        "poolings": ", ".join(encoders),
        "input": fixed if entry.input_size else f"any multiple of {entry.crop} pixels",
    }


def main():
    """Rewrite the table."""
    with tempfile.TemporaryDirectory() as parent:
        rows = [row_of(family, Path(parent)) for family in vision_families()]
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
