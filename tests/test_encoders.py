"""Small networks of each family go through the real loading code."""

import dataclasses
import doctest
import json
import pickle
import re
import shutil
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_networks import (
    SMALL,
    change_weights,
    realistic,
    save,
    tiny_clip,
    tiny_dinov2,
    tiny_sam,
)
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    IJepaConfig,
    IJepaModel,
    SamConfig,
    SamModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from bookbuild.chapters import ROOT
from helpers import UserError, encoders
from helpers.encoders import ENCODERS, EncoderEntry, find_entry, load_encoder
from helpers.vit import networks, outputs
from helpers.vit.weights import read_manifest

# Known answers for the encoders of the paper, and the two that the book adds. Others need no line
# here: their entries are held against the network that they describe.
LENGTHS = {
    "clip-b16": 768,
    "clip-b32": 768,
    "clip-l14": 1024,
    "dinov2-s14": 384,
    "dinov2-b14": 768,
    "dinov2-l14": 1024,
    "dinov2-g14": 1536,
    "sam-h": 256,
    "micronet-resnet50": 2048,
    "imagenet-micronet-resnet50": 2048,
    "microvit": 192,
}
NOT_IN_PAPER = {"imagenet-micronet-resnet50", "microvit"}


@pytest.fixture
def clip_folder(tmp_path):
    return save(tiny_clip(), tmp_path / "my-clip")


@pytest.fixture
def dinov2_folder(tmp_path):
    return save(tiny_dinov2(), tmp_path / "my-dinov2")


@pytest.mark.parametrize("module", [encoders])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_table_is_figure_1_of_the_paper_and_what_ships():
    lengths = {name: e.n_features for name, e in ENCODERS.items() if name in LENGTHS}
    assert lengths == LENGTHS
    in_paper = {name for name, entry in ENCODERS.items() if entry.in_paper}
    assert in_paper == LENGTHS.keys() - NOT_IN_PAPER, (
        "data/registry.json: `in_paper` is true for the nine encoders whose features the paper "
        "evaluates, and for no other; leave it out of a new entry"
    )
    with pytest.raises(TypeError):
        ENCODERS["new"] = None


def each_entry(function):
    return pytest.mark.parametrize("entry", ENCODERS.values(), ids=list(ENCODERS))(function)


def refuse(entry, wrong):
    """Fail with what is `wrong` in the registry's entry, a line each."""
    if wrong:
        listed = "".join(f"\n  {line}" for line in wrong)
        pytest.fail(f"data/registry.json, encoders/{entry.name}:{listed}", pytrace=False)


def network_of(entry):
    """The network that an entry's `config` describes, without memory for its weights."""
    try:
        with torch.device("meta"):
            return networks.random_model(entry.config, seed=0).eval()
    except (ValueError, KeyError, TypeError) as error:
        reason = textwrap.shorten(str(error), 150)
    refuse(entry, [f"`config` is no architecture in the words of transformers: {reason}"])


def features_of(entry, model):
    """Shape of the features of one image of the size that the entry says."""
    # Two sides, where any multiple will do: a network for squares of one size refuses them.
    sides = (entry.input_size,) * 2 if entry.input_size else (3 * entry.crop, 5 * entry.crop)
    output = model(pixel_values=torch.zeros(1, 3, *sides, device="meta"))
    n_special = outputs.n_special_tokens(model, entry.config["model_type"])
    return tuple(outputs.pool(output, entry, sides, n_special).shape)


@each_entry
def test_an_entry_describes_its_network(entry):
    """The network of its `config` takes the input that it states, and gives the features."""
    wrong, model = [], network_of(entry)
    known = AutoConfig.for_model(entry.config["model_type"]).to_dict()
    if unknown := sorted(set(entry.config) - set(known)):
        wrong.append(f"`config` says {unknown[0]!r}, which transformers does not know of it")
    patch = getattr(model.config, "patch_size", None)
    if entry.patch != patch:
        wrong.append(f"`patch` is {entry.patch}; by its `config` it is {patch}")
    crop = 14 if entry.family == "sam" else entry.patch or 1  # of SAM: as in the paper
    if entry.crop != crop:
        why = "14 for SAM, as in the paper; else the patch, or 1 for networks without patches"
        wrong.append(f"`crop` is {entry.crop}; expected {crop} ({why})")
    if entry.pooling not in encoders.POOLINGS:
        refuse(entry, [f"`pooling` is {entry.pooling!r}; expected one of {encoders.POOLINGS}"])
    try:
        _, n_features = features_of(entry, model)
        if entry.n_features != n_features:
            wrong.append(f"`n_features` is {entry.n_features}; its network gives {n_features}")
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        wrong.append(
            f"its network gives no features with `input_size` {entry.input_size}, `crop` "
            f"{entry.crop}, `patch` {entry.patch} and `pooling` {entry.pooling!r}: {error}"
        )
    refuse(entry, wrong)


@each_entry
def test_an_entry_says_what_people_need(entry):
    """Title, licence, source, revision, pixels: what tables, citations and downloads use."""
    wrong = []
    if [other.title for other in ENCODERS.values()].count(entry.title) > 1:
        wrong.append(f"`title` {entry.title!r} is another encoder's as well: tables need one each")
    if not entry.licence or entry.licence == "unknown":
        wrong.append("`licence` is missing: say that of the weights, as their page does")
    bibliography = (ROOT / "pages" / "references.bib").read_text(encoding="utf-8")
    if not entry.citation or f"{{{entry.citation}," not in bibliography:
        wrong.append(
            f"`citation` is {entry.citation!r}, no key of pages/references.bib: add the paper of "
            "the weights there, or mend the key"
        )
    if entry.hub_id and entry.url != f"https://huggingface.co/{entry.hub_id}":
        wrong.append(f"`url` is {entry.url}; expected https://huggingface.co/{entry.hub_id}")
    if not entry.hub_id and "huggingface.co" in (entry.url or ""):
        wrong.append("`hub_id` is missing: its `url` is a page of huggingface.co")
    if not (entry.url or entry.shipped):
        wrong.append("`url` is missing: say where the weights are published")
    if entry.revision is not None and not re.fullmatch("[0-9a-f]{40}", entry.revision):
        wrong.append(
            f"`revision` is {entry.revision!r}; expected the commit, 40 hex digits, or null: "
            "then the first download records it"
        )
    stated = (entry.mean, entry.std) != (None, None)
    if stated and not (len(entry.mean or ()) == len(entry.std or ()) == 3 and min(entry.std) > 0):
        told = f"`mean` is {entry.mean}, `std` {entry.std}"
        wrong.append(
            f"{told}; expected three numbers each, those of `std` positive, or null twice"
        )
    elif stated and max(*entry.mean, *entry.std) > 1:
        wrong.append(f"`mean` is {entry.mean}, `std` {entry.std}; expected units of [0, 1]")
    refuse(entry, wrong)


def test_no_revision_was_invented():
    assert {ENCODERS[name].revision for name in LENGTHS} == {None}  # none could be looked up


@each_entry
def test_the_size_of_a_download_follows_from_the_architecture(entry):
    n_weights = sum(p.numel() for p in network_of(entry).parameters())
    low, high = 2 * n_weights, 5 * 4 * n_weights
    if entry.name in LENGTHS:
        low, high = 0.995 * published_bytes(entry), 1.005 * published_bytes(entry)
    if not low <= (entry.size or 0) <= high:
        told = (
            f"`size` is {entry.size} bytes; expected {low:,.0f} to {high:,.0f}: the network of "
            f"its `config` has {n_weights:,} weights of 2 or 4 bytes, and a part for texts or "
            "masks may come with it. State the bytes of the file, or mend `config`"
        )
        refuse(entry, [told])


def published_bytes(entry):
    """Four bytes a parameter, two of those that ship; CLIP and SAM: with the rest of the model."""
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    config = AutoConfig.for_model(**entry.config)
    with torch.device("meta"), networks.quiet_transformers():
        if entry.family == "clip":
            wide = entry.config["hidden_size"] > 768
            options = {"text_config": text, "projection_dim": 768} if wide else {}
            model = CLIPModel(CLIPConfig(vision_config=config.to_dict(), **options))
        elif entry.family == "sam":
            model = SamModel(SamConfig(vision_config=config.to_dict()))
        else:
            model = AutoModel.from_config(config)
    n_bytes = (2 if entry.shipped else 4) * sum(p.numel() for p in model.parameters())
    return n_bytes + 4 * (2048 * 1000 + 1000) * (entry.family == "resnet")  # its last layer


def test_clip_gives_the_pooled_output_of_its_image_part(clip_folder):
    encoder = load_encoder(clip_folder, pooling="pooler")
    pixels = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        expected = tiny_clip().vision_model(pixel_values=pixels).pooler_output
    np.testing.assert_allclose(encoder(pixels), expected, rtol=1e-5, atol=1e-6)
    assert encoder.n_features == 32
    assert encoder.weights == "pretrained"
    assert "untrained" not in encoder.title


def test_an_image_part_saved_alone_is_the_same_network(clip_folder, tmp_path):
    save(tiny_clip().vision_model, tmp_path / "vision")
    a, b = (load_encoder(p, pooling="cls") for p in (clip_folder, tmp_path / "vision"))
    assert a.fingerprint == b.fingerprint


def test_dinov2_gives_the_normalised_class_token(dinov2_folder):
    encoder = load_encoder(dinov2_folder, pooling="cls", interpolation="hf")
    pixels = torch.rand(2, 3, 42, 56)
    with torch.no_grad():
        expected = tiny_dinov2()(pixel_values=pixels).last_hidden_state
    np.testing.assert_allclose(encoder(pixels), expected[:, 0], rtol=1e-5, atol=1e-6)
    means = load_encoder(dinov2_folder, pooling="mean", interpolation="hf")(pixels)
    np.testing.assert_allclose(means, expected[:, 1:].mean(1), rtol=1e-5, atol=1e-6)


def test_sam_gives_the_mean_over_positions(tmp_path):
    encoder = load_encoder(save(tiny_sam(), tmp_path / "my-sam"), pooling="mean")
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps = tiny_sam().vision_encoder(pixel_values=pixels).last_hidden_state
    assert maps.shape == (2, 8, 4, 4)
    np.testing.assert_allclose(encoder(pixels), maps.mean((2, 3)), rtol=1e-5, atol=1e-6)


def test_other_families_are_encoders_too(tmp_path):
    siglip = SiglipVisionConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16)
    save(realistic(SiglipVisionModel, siglip), tmp_path / "siglip")
    assert load_encoder(tmp_path / "siglip", pooling="mean").n_features == 32
    assert load_encoder(tmp_path / "siglip", pooling="pooler").entry.input_size == 64


def test_one_channel_is_repeated(dinov2_folder):
    encoder = load_encoder(dinov2_folder, pooling="cls")
    grey = torch.rand(2, 1, 42, 42)
    np.testing.assert_array_equal(encoder(grey), encoder(grey.expand(-1, 3, -1, -1)))


def cubic(t, a=-0.75):
    """Weight of a sample at distance t in cubic convolution (Keys 1981)."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def interpolation_matrix(n_out, n_in, scale):
    """Rows of cubic weights: output i samples the input at (i + 0.5) / scale - 0.5."""
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        x = (i + 0.5) / scale - 0.5
        for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
            matrix[i, np.clip(j, 0, n_in - 1)] += cubic(x - j)
    return matrix


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (3, 5), (47, 52)])
def test_hub_interpolation_against_an_independent_computation(rows, columns):
    """The rule with plain matrices: scale (n + 0.1) / 37, cubic convolution with a = -0.75."""
    model = Dinov2Model(Dinov2Config(**SMALL, image_size=518, patch_size=14))
    torch.nn.init.normal_(model.embeddings.position_embeddings)
    found = networks.hub_positions(model.embeddings, None, 14 * rows, 14 * columns)
    grid = model.embeddings.position_embeddings[0, 1:].detach().numpy().reshape(37, 37, 32)
    down = interpolation_matrix(rows, 37, (rows + 0.1) / 37)
    across = interpolation_matrix(columns, 37, (columns + 0.1) / 37)
    expected = np.einsum("ij,jkd,lk->ild", down, grid.astype(float), across)
    found = found.detach().numpy()
    np.testing.assert_allclose(found[0, 1:].reshape(expected.shape), expected, atol=2e-4)
    np.testing.assert_array_equal(found[0, 0], model.embeddings.position_embeddings[0, 0].detach())


def test_the_two_interpolations_differ_at_42_and_agree_at_518(tmp_path):
    model = Dinov2Model(Dinov2Config(**SMALL, image_size=518, patch_size=14))
    torch.nn.init.normal_(model.embeddings.position_embeddings)
    folder = save(model, tmp_path / "dinov2")
    hub, hf = (load_encoder(folder, pooling="cls", interpolation=i) for i in ("hub", "hf"))
    small, trained = torch.rand(1, 3, 42, 42), torch.rand(1, 3, 518, 518)
    assert not torch.allclose(hub(small), hf(small), rtol=1e-5)
    torch.testing.assert_close(hub(trained), hf(trained), rtol=1e-6, atol=1e-6)
    assert hub.fingerprint == hf.fingerprint
    assert hub.provenance()["interpolation"] == "hub"


def test_random_weights_say_so_and_follow_the_seed():
    a, b, c = (load_encoder("dinov2-s14", "random", seed=s) for s in (0, 0, 1))
    assert a.title == "DINOv2 S14 (untrained)"
    assert a.provenance()["weights"] == "random"
    assert a.fingerprint == b.fingerprint != c.fingerprint


def test_loading_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_encoder("dinov2-s14", "random")
    torch.testing.assert_close(torch.rand(2), expected)


def test_a_loaded_network_has_another_fingerprint_than_a_random_one(clip_folder):
    loaded = load_encoder(clip_folder, pooling="pooler")
    random = {load_encoder(clip_folder, "random", pooling="pooler", seed=s) for s in range(3)}
    assert loaded.fingerprint not in {encoder.fingerprint for encoder in random}
    assert {encoder.title for encoder in random} == {"my-clip (untrained)"}


def test_the_weights_are_frozen(dinov2_folder):
    encoder = load_encoder(dinov2_folder, pooling="cls")
    assert not encoder.model.training
    assert not any(p.requires_grad for p in encoder.model.parameters())


@pytest.mark.parametrize(
    "make", [tiny_dinov2, tiny_clip, tiny_sam, lambda: tiny_dinov2(use_swiglu_ffn=True)]
)
def test_half_precision_gives_the_same_direction(make, tmp_path):
    """Random weights with activations of realistic size; cosine of float32 and bfloat16."""
    model = make()
    folder = save(model, tmp_path / "model")
    pooling = "mean" if isinstance(model, SamModel) else "pooler"
    full = load_encoder(folder, pooling=pooling)
    half = load_encoder(folder, pooling=pooling, dtype=torch.bfloat16)
    pixels = torch.rand(
        8, 3, 64 if full.entry.input_size else 42, 64 if full.entry.input_size else 42
    )
    cosine = torch.nn.functional.cosine_similarity(full(pixels), half(pixels))
    assert half(pixels).dtype == torch.float32
    assert cosine.min() >= 0.999


def test_attention_by_products_is_attention():
    query, key, value = torch.randn(3, 2, 3, 300, 16)  # more rows than are taken at a time
    fused = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    found, _ = networks._attention(None, query, key, value, scaling=0.25)
    torch.testing.assert_close(found, fused.transpose(1, 2), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("dtype", "kind"), [("float32", "sdpa"), ("bfloat16", "products")])
def test_bfloat16_on_a_processor_attends_by_products(dtype, kind):
    encoder = load_encoder("microvit", device="cpu", dtype=dtype)
    assert encoder.model.config._attn_implementation == kind


# What must not be loaded


def test_missing_weights_are_refused(dinov2_folder):
    change_weights(dinov2_folder, lambda s: s.pop("encoder.layer.0.mlp.fc1.weight"))
    with pytest.raises(ValueError, match=r"1 missing weights .encoder.layer.0.mlp.fc1.weight"):
        load_encoder(dinov2_folder, pooling="cls")


def test_unexpected_weights_are_refused(dinov2_folder):
    change_weights(dinov2_folder, lambda s: s.update(head=torch.ones(3)))
    with pytest.raises(ValueError, match=r"1 surplus weights .head"):
        load_encoder(dinov2_folder, pooling="cls")


def test_weights_of_another_shape_are_refused(dinov2_folder):
    change_weights(dinov2_folder, lambda s: s.update({"layernorm.weight": torch.ones(3)}))
    with pytest.raises(ValueError, match="my-dinov2"):
        load_encoder(dinov2_folder, pooling="cls")


def test_buffers_of_old_checkpoints_are_no_weights(clip_folder):
    ids = {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
    change_weights(clip_folder, lambda s: s.update(ids))
    assert load_encoder(clip_folder, pooling="pooler").n_features == 32


class Bomb:
    def __reduce__(self):
        return print, ("code was run",)


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_pickle_with_code_is_refused(dinov2_folder, capfd, as_zip):
    state = {**load_file(dinov2_folder / "model.safetensors"), "bomb": Bomb()}
    (dinov2_folder / "model.safetensors").unlink()
    with (dinov2_folder / "pytorch_model.bin").open("wb") as file:
        torch.save(state, file) if as_zip else pickle.dump(state, file, protocol=2)
    with pytest.raises(ValueError, match="my-dinov2"):
        load_encoder(dinov2_folder, pooling="cls")
    assert "code was run" not in capfd.readouterr().out


def test_a_pickle_of_plain_weights_is_loaded(dinov2_folder):
    expected = load_encoder(dinov2_folder, pooling="cls").fingerprint
    state = load_file(dinov2_folder / "model.safetensors")
    (dinov2_folder / "model.safetensors").unlink()
    torch.save(state, dinov2_folder / "pytorch_model.bin")
    assert load_encoder(dinov2_folder, pooling="cls").fingerprint == expected


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_truncated_weights_are_refused(dinov2_folder, keep):
    path = dinov2_folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(ValueError, match="my-dinov2"):
        load_encoder(dinov2_folder, pooling="cls")


def test_a_broken_config_is_named(dinov2_folder):
    (dinov2_folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json"):
        load_encoder(dinov2_folder, pooling="cls")
    (dinov2_folder / "config.json").write_text('{"model_type": "nothing-known"}')
    with pytest.raises(ValueError, match=r"nothing-known"):
        load_encoder(dinov2_folder, pooling="cls")


def test_weights_under_a_wrong_name_are_refused(dinov2_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "data"))
    shutil.copytree(dinov2_folder, tmp_path / "data" / "encoders" / "dinov2-s14")
    with pytest.raises(ValueError, match=r"is no DINOv2 S14: hidden_size is 32, expected 384"):
        load_encoder("dinov2-s14")


def test_a_local_copy_serves_instead_of_a_download(dinov2_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "data"))
    shutil.copytree(dinov2_folder, tmp_path / "data" / "encoders" / "small")
    config = {"model_type": "dinov2", **SMALL, "image_size": 70}
    entry = dataclasses.replace(
        ENCODERS["dinov2-s14"],
        name="small",
        title="Small",
        config=config,
        n_features=32,
        fixture=True,
    )
    monkeypatch.setattr(encoders, "ENCODERS", {**ENCODERS, "small": entry})
    encoder = load_encoder("small")
    assert encoder.title == "Small (test fixture)"
    assert encoder(torch.rand(1, 3, 42, 42)).shape == (1, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "imagenet"}, "weights is 'imagenet'"),
        ({"pooling": "max"}, "pooling is 'max'"),
        ({"interpolation": "linear"}, "interpolation is 'linear'"),
    ],
)
def test_unknown_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        load_encoder("dinov2-s14", **options)


def test_unknown_names_are_told_with_all_that_there_are():
    with pytest.raises(ValueError, match=r"'dinov2-l41': expected one of .*dinov2-l14"):
        load_encoder("dinov2-l41")
    with pytest.raises(ValueError, match=r"no config\.json"):
        load_encoder(".")


def test_the_pooling_of_a_folder_is_chosen_where_one_is_right(
    dinov2_folder, clip_folder, tmp_path
):
    for folder, pooling in ((dinov2_folder, "cls"), (clip_folder, "pooler")):
        with pytest.warns(match=f"{folder.name}: pooling='{pooling}', as its family has it"):
            encoder = load_encoder(folder)
        assert encoder.entry.pooling == pooling
    shape = {**SMALL, "intermediate_size": 64, "image_size": 64, "patch_size": 16}
    save(realistic(IJepaModel, IJepaConfig(**shape)), tmp_path / "i-jepa")  # no class token
    with pytest.warns(match="i-jepa: pooling='mean', the only one that works"):
        assert load_encoder(tmp_path / "i-jepa").entry.pooling == "mean"
    save(realistic(ViTModel, ViTConfig(**shape)), tmp_path / "vit")
    with pytest.raises(UserError, match="feature is: choose pooling='cls' or pooling='mean' or"):
        load_encoder(tmp_path / "vit")
    with pytest.raises(ValueError, match="not DINOv2"):
        load_encoder(clip_folder, pooling="cls", interpolation="hub")


def test_a_pooling_that_the_network_lacks_is_told(tmp_path):
    why = "no features with pooling='pooler' .*: choose pooling='mean'$"
    with pytest.raises(ValueError, match=why):
        load_encoder(save(tiny_sam(), tmp_path / "sam"), pooling="pooler")


def test_entries_are_found_by_name_entry_and_folder(dinov2_folder):
    entry = find_entry("clip-b16")
    assert find_entry(entry) is entry
    found = find_entry(dinov2_folder)
    assert isinstance(found, EncoderEntry)
    assert (found.patch, found.crop, found.input_size, found.family) == (14, 14, None, "dinov2")
    assert find_entry(load_encoder(dinov2_folder, pooling="cls")).n_features == 32


def test_pixel_statistics_come_from_the_folder(dinov2_folder):
    stated = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5]}
    (dinov2_folder / "preprocessor_config.json").write_text(json.dumps(stated))
    assert find_entry(dinov2_folder).mean == [0.1, 0.2, 0.3]
    assert read_manifest(dinov2_folder) == {}


def test_a_vision_config_alone_is_read(tmp_path):
    config = CLIPVisionConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=32)
    save(CLIPVisionModel(config), tmp_path / "vision")
    assert find_entry(tmp_path / "vision").patch == 32


def test_a_folder_with_the_name_of_an_encoder_is_that_folder(dinov2_folder, tmp_path):
    folder = shutil.copytree(dinov2_folder, tmp_path / "dinov2-s14")
    encoder = load_encoder(folder, pooling="cls")
    assert encoder.n_features == 32
    assert encoder.fingerprint == load_encoder(dinov2_folder, pooling="cls").fingerprint


def test_a_class_token_that_is_none_is_refused(tmp_path):
    siglip = SiglipVisionConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16)
    save(realistic(SiglipVisionModel, siglip), tmp_path / "siglip")
    save(tiny_sam(), tmp_path / "sam")
    for name in ("siglip", "sam"):
        with pytest.raises(ValueError, match="it has no class token"):
            load_encoder(tmp_path / name, pooling="cls")


def test_weights_in_several_files_are_read(tmp_path, dinov2_folder):
    with networks.quiet_transformers():
        tiny_dinov2().save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    whole = load_encoder(dinov2_folder, pooling="cls")
    assert load_encoder(tmp_path / "parts", pooling="cls").fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("stated", "message"),
    [("{", "cannot be read"), ('{"image_mean": [0.5], "image_std": [0.5]}', "expected three")],
)
def test_bad_pixel_statistics_are_named(dinov2_folder, stated, message):
    (dinov2_folder / "preprocessor_config.json").write_text(stated)
    with pytest.raises(ValueError, match=rf"preprocessor_config\.json.*{message}"):
        find_entry(dinov2_folder)
    (dinov2_folder / "preprocessor_config.json").write_text('{"image_mean": null}')
    assert find_entry(dinov2_folder).mean is None


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match=r"dtype is 'double'.*float32 or bfloat16"):
        load_encoder("dinov2-s14", "random", dtype="double")
    assert load_encoder("microvit", dtype="bfloat16").dtype is torch.bfloat16
