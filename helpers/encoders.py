"""Frozen networks that turn images into features: the encoders of the paper, or your own.

``ENCODERS`` is the table of Fig. 1 of the paper (doi:10.1016/j.actamat.2025.121217) and MicroViT,
which ships with the book, kept in ``data/registry.json``; `load_encoder` loads one of them, or any
folder in Hugging Face format.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import warnings
from pathlib import Path

import torch

from helpers import UserError, check_choice
from helpers.io.downloads import registry
from helpers.vit import checkpoints, networks, outputs
from helpers.vit.forward import device_and_dtype
from helpers.vit.weights import fetch_weights, read_manifest

POOLINGS = ("cls", "mean", "pooler")


@dataclasses.dataclass(frozen=True)
class EncoderEntry:
    """What is known of an encoder before its weights are loaded.

    Attributes
    ----------
    name, title : str
        ``"dinov2-s14"`` and, as the paper writes it, ``"DINOv2 S14"``.
    family : str
        ``"clip"``, ``"dinov2"``, ``"sam"``, ``"resnet"``, or the model type of a folder.
    n_features : int or None
        Length of the feature vector; None until a folder is loaded.
    patch : int or None
        Side of a patch [pixels]; None for networks without patches.
    crop : int
        Micrographs are cut to multiples of it [pixels].
    input_size : int or None
        Side that images are brought to [pixels]. None: any multiple of `crop`.
    longest : int or None
        Where `input_size` is None: longest side of a micrograph [pixels]; larger ones are made
        smaller. None: micrographs keep their scale.
    pooling : str or None
        ``"cls"``: the class token as the network returns it, in DINOv2 after the final norm.
        ``"mean"``: the mean of the patch tokens. ``"pooler"``: the network's own pooled output,
        in CLIP the class token after the final norm. None until a folder is loaded.
    mean, std : list of 3 float or None
        What the network's authors subtract from and divide pixels by, in units of [0, 1].
    config : dict
        Architecture, in the words of transformers.
    url, hub_id : str or None
        Where the weights are published; `hub_id` for those on the Hugging Face hub.
    shipped : str or None
        Folder of ``data`` with weights that ship with the book, which are never downloaded.
    folder : Path or None
        Of the weights, where that is all that names the encoder.
    revision, hash : str or None
        Commit of the hub's repository; hash of a single file. None: taken at the first download,
        and kept.
    reported_hash : str or None
        Hash of a single file as others report it. A file that differs is told, and kept if it
        loads.
    size : int or None
        Of the weights [bytes].
    licence, citation : str
        Of the weights; the citation is a key of ``pages/references.bib``.
    in_paper : bool
        True for the nine whose features the paper evaluates.
    fixture : bool
        True for small networks that tests put in the place of published ones.
    """

    name: str
    title: str
    family: str
    config: dict
    patch: int | None
    crop: int
    input_size: int | None
    mean: list | None
    std: list | None
    n_features: int | None = None
    pooling: str | None = None
    longest: int | None = None
    url: str | None = None
    hub_id: str | None = None
    shipped: str | None = None
    folder: Path | None = None
    revision: str | None = None
    hash: str | None = None
    reported_hash: str | None = None
    size: int | None = None
    licence: str = "unknown"
    citation: str = ""
    in_paper: bool = False
    fixture: bool = False


_ROWS = {key.split("/")[1]: row for key, row in registry().items() if "encoders/" in key}
ENCODERS = types.MappingProxyType({n: EncoderEntry(name=n, **row) for n, row in _ROWS.items()})


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """A loaded, frozen network: call it with pixels, and it returns features.

    Attributes
    ----------
    entry : EncoderEntry
    model : torch.nn.Module
        In evaluation mode, without gradients. Where the class token is all that `pooling` asks
        for, the last layer computes no other.
    weights : str
        ``"pretrained"`` or ``"random"``.
    interpolation : str or None
        Rule for DINOv2's position embeddings; None for other families.
    device, dtype : torch.device, torch.dtype
        Of the computation.
    fingerprint : str
        SHA-256 of all weights, in single precision.
    revision : str or None
        Commit of the hub's repository that the weights were downloaded from.
    """

    entry: EncoderEntry
    model: torch.nn.Module
    weights: str
    interpolation: str | None
    device: torch.device
    dtype: torch.dtype
    fingerprint: str
    revision: str | None

    @property
    def name(self):
        """Of its entry: the key in `ENCODERS`, or the name of a folder."""
        return self.entry.name

    @property
    def title(self):
        """For tables and figures; ends in ``(untrained)`` for random weights."""
        labels = ["untrained"] * (self.weights == "random") + ["test fixture"] * self.entry.fixture
        return self.entry.title + (f" ({', '.join(labels)})" if labels else "")

    @property
    def n_features(self):
        """Length of the feature vector."""
        return self.entry.n_features

    @torch.inference_mode()
    def __call__(self, pixels):
        """Features of preprocessed images.

        Parameters
        ----------
        pixels : torch.Tensor of float32, shape (n, 3, H, W) or (n, 1, H, W)
            From `helpers.preprocessing`; one channel is repeated.

        Returns
        -------
        torch.Tensor of float32, shape (n, n_features)
            On the CPU.
        """
        output, shape = self.output(pixels), pixels.shape[-2:]
        return outputs.pool(output, self.entry, shape, self.n_special).float().cpu()

    @functools.cached_property
    def n_special(self):
        """Number of tokens before those of the patches: class token, registers."""
        return outputs.n_special_tokens(self.model, self.entry.config["model_type"])

    def output(self, pixels):
        """What the network returns."""
        pixels = pixels.to(self.device, self.dtype, non_blocking=True)
        pixels = pixels.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        return self.model(pixel_values=pixels)

    def provenance(self):
        """What fixes the network's numbers, as a JSON-ready dict."""
        return {
            "encoder": self.name,
            "title": self.title,
            "source": self.entry.url or ("book" if self.entry.shipped else "local folder"),
            "revision": self.revision,
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "config": self.entry.config,
            "pooling": self.entry.pooling,
            "interpolation": self.interpolation,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
        }


def find_entry(encoder):
    """The entry of an encoder given by name, as a folder, as an entry or loaded.

    Raises
    ------
    ValueError
        Neither a name of the table nor a folder with a ``config.json``.
    """
    if isinstance(encoder, EncoderEntry):
        return encoder
    if isinstance(encoder, Encoder):
        return encoder.entry
    if encoder in ENCODERS:
        return ENCODERS[encoder]
    if isinstance(encoder, str | Path) and Path(encoder).is_dir():
        return _entry_of_folder(Path(encoder))
    raise UserError(
        f"encoder {str(encoder)!r}: expected one of {', '.join(ENCODERS)}, or a folder that holds "
        "a model in Hugging Face format; `hf download OWNER/NAME --local-dir FOLDER` makes one of "
        "a repository of the Hugging Face hub"
    )


def load_encoder(
    name_or_folder,
    weights="pretrained",
    *,
    pooling=None,
    interpolation=None,
    device=None,
    dtype=None,
    seed=0,
):
    """Load a frozen network.

    Parameters
    ----------
    name_or_folder : str or path-like
        A name of `ENCODERS`, or a folder in Hugging Face format (``config.json`` and
        ``model.safetensors``) with any vision model that transformers knows.
    weights : str
        ``"pretrained"``: shipped with the book, found in ``MICROPROP_DATA`` or the cache, else
        downloaded.
        ``"random"``: as the architecture's authors initialise it, from `seed`; its title says
        "untrained". A control, never a substitute.
    pooling : str or None
        ``"cls"``, ``"mean"`` or ``"pooler"``. None: as in the paper; of a folder, as the table
        has it for the family, else the one that alone works. What is chosen is told.
    interpolation : str or None
        DINOv2's position embeddings away from 518 x 518 pixels. ``"hub"``: by scale factor, as
        torch.hub's models do, with which the paper's features were made. ``"hf"``: to an
        explicit size, as the Hugging Face port does. None: ``"hub"``.
    device : str or torch.device or None
        None: an NVIDIA GPU where there is one, else the CPU.
    dtype : str or torch.dtype or None
        Of the computation, such as ``"float32"`` or ``"bfloat16"``. None: bfloat16 on a GPU, else
        float32. On a CPU with instructions for it bfloat16 about halves the time.
    seed : int
        For random weights.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError
        An unknown name or option, weights that are a pickle with code in it, that have missing
        or unexpected keys, or that belong to another architecture than the table says; a network
        of videos, or one without this pooling, as `helpers.vit.outputs.probe` finds.
    DownloadError
        The weights are not here and could not be downloaded, or have another checksum; shipped
        ones were deleted or changed.

    Examples
    --------
    >>> encoder = load_encoder("microvit")
    >>> encoder.title, encoder(torch.zeros(2, 3, 49, 49)).shape
    ('MicroViT', torch.Size([2, 192]))
    >>> load_encoder("dinov2-s14", weights="random").title
    'DINOv2 S14 (untrained)'
    """
    if isinstance(name_or_folder, Encoder | EncoderEntry):
        raise UserError(f"name_or_folder is an {type(name_or_folder).__name__}: pass its name")
    check_choice("weights", weights, ("pretrained", "random"))
    check_choice("pooling", pooling, (None, *POOLINGS))
    check_choice("interpolation", interpolation, (None, "hub", "hf"))
    device, dtype = device_and_dtype(device, dtype)
    entry = find_entry(name_or_folder)
    asked, pooling = pooling, pooling or entry.pooling or _usual_pooling(entry)
    if pooling != entry.pooling:
        entry = dataclasses.replace(entry, pooling=pooling, n_features=None)
    is_dinov2 = entry.config["model_type"] == "dinov2"
    if interpolation is not None and not is_dinov2:
        raise UserError(f"interpolation is {interpolation!r}, but {entry.name} is not DINOv2")
    model, revision = _network(entry, weights, seed)
    interpolation = (interpolation or "hub") if is_dinov2 else None
    if interpolation == "hub":
        networks.use_hub_positions(model)
    if device.type == "cpu" and dtype is torch.bfloat16:
        networks.attend_by_products(model)
    fingerprint = networks.fingerprint_of(model)
    model = model.eval().requires_grad_(False)
    model = model.to(device, dtype, memory_format=torch.channels_last)
    encoder = Encoder(entry, model, weights, interpolation, device, dtype, fingerprint, revision)
    if entry.n_features is None:
        entry = _probed(encoder, asked)
    if entry.pooling != "mean":
        networks.compute_class_token_only(model)  # after the probe, which counts the others
    return dataclasses.replace(encoder, entry=entry)


def _network(entry, weights, seed):
    """The network with random or published weights, or those of a folder, and their revision."""
    if weights == "random":
        return networks.random_model(entry.config, seed), None
    folder = entry.folder or fetch_weights(entry)
    return checkpoints.read_model(folder, entry), read_manifest(folder).get("revision")


def _entry_of_folder(folder):
    """Read what a folder in Hugging Face format says about its model."""
    config = checkpoints.read_config(folder)
    pixels = networks.sizes(config, folder) | networks.pixel_statistics(folder)
    facts = checkpoints.config_facts(config)
    for name in ("_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        facts.pop(name, None)  # none of the architecture
    name = folder.resolve().name
    return EncoderEntry(name, name, config.model_type, facts, folder=folder, **pixels)


def _usual_pooling(entry):
    """The pooling of the encoders in the table that are of the family of a folder, or None."""
    known = {e.pooling for e in ENCODERS.values() if e.config["model_type"] == entry.family}
    return known.pop() if len(known) == 1 else None


def _probed(encoder, asked):
    """The entry of a folder's network with the length of its features, once they are proved.

    Where no pooling is `asked` for, it has that of its family, or the one that alone works.
    """
    wanted, works, faults = encoder.entry.pooling, {}, {}
    side = encoder.entry.input_size or 4 * encoder.entry.crop
    for pooling in sorted(POOLINGS, key=lambda name: name != wanted):
        entry = dataclasses.replace(encoder.entry, pooling=pooling)
        try:
            works[pooling] = outputs.probe(dataclasses.replace(encoder, entry=entry), side)
        except Exception as error:  # what networks raise is of no one kind
            faults[pooling] = f"{encoder.name} gives no features with {pooling=} ({error})"
        if wanted in works:
            break
    if wanted in faults or len(works) != 1:
        fault = f"{encoder.entry.folder} does not say what its feature is"
        if wanted or not works:
            fault = next(iter(faults.values()))  # of the one that was tried first
        choice = " or ".join(f"{pooling=}" for pooling in works)
        raise UserError(f"{fault}: choose {choice or 'another network: no pooling works'}")
    ((pooling, n_features),) = works.items()
    if asked is None:
        why = "as its family has it" if wanted else "the only one that works"
        told = f"{pooling=}, {why}; another has to be asked for"
        warnings.warn(f"{encoder.entry.folder}: {told}", stacklevel=3)
    return dataclasses.replace(encoder.entry, pooling=pooling, n_features=n_features)
