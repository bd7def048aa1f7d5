"""Tiny models with random weights, built from configurations and saved as an operator's would be.

Their parts are those of Stable Diffusion 1.5: what they paint is noise, but everything that loads, conditions, counts
steps and keeps state is the real thing.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from services.render.engines.diffusers import libraries, manifest
from services.render.engines.diffusers.pipeline import IDENTITY, MODEL, Weights

WIDTH = 32
"""Of the text encoder's, the image encoder's and the cross attention's vectors."""
NATIVE = 64  # px: 32 cells of 2
VISIBLE, FLAGGED = 1.0, -10.0
"""Thresholds of the safety checker (cosine similarity): one that nothing exceeds, and one that everything does."""


def build(
    folder: Path,
    *,
    threshold: float | None = VISIBLE,
    identity: bool = True,
    inpainting_only: bool = False,
) -> Weights:
    """threshold: of a safety checker; None: without. inpainting_only: its network takes the mask as channels."""
    loaded = libraries.load(1)
    torch, diffusers = loaded.torch, loaded.diffusers
    torch.manual_seed(0)
    channels = 9 if inpainting_only else 4
    kind = diffusers.StableDiffusionInpaintPipeline if inpainting_only else diffusers.StableDiffusionPipeline
    unet = _unet(diffusers, channels)
    kind(
        vae=_vae(diffusers),
        text_encoder=_text_encoder(loaded.transformers),
        tokenizer=_tokenizer(loaded.transformers),
        unet=unet,
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
        ),
        safety_checker=_checker(loaded, threshold) if threshold is not None else None,
        feature_extractor=_extractor(loaded.transformers),
        requires_safety_checker=threshold is not None,
    ).save_pretrained(folder / MODEL, safe_serialization=True)
    if identity:
        _adapter(loaded, unet, folder / IDENTITY)
    return Weights(folder, manifest.write(folder))


def _unet(diffusers: Any, channels: int) -> Any:
    return diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=NATIVE // 2,
        in_channels=channels,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=32,
    )


def _vae(diffusers: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=[32, 64],
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        norm_num_groups=32,
    )


def _words() -> dict[str, int]:
    """Every byte as a symbol of its own, within a word and at its end (byte-level BPE, Radford et al., 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = [*map(chr, printable), *(chr(256 + at) for at in range(len(others)))]
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), "<|startoftext|>", "<|endoftext|>"]
    return {word: at for at, word in enumerate(words)}


def _tokenizer(transformers: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps(_words()))
        merges.write_text("#version: 0.2\n")
        return transformers.CLIPTokenizer(str(vocabulary), str(merges), model_max_length=77)


def _text_encoder(transformers: Any) -> Any:
    size = len(_words())
    config = transformers.CLIPTextConfig(
        vocab_size=size, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1, hidden_size=WIDTH,
        intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=77,
        projection_dim=WIDTH,
    )  # fmt: skip
    return transformers.CLIPTextModel(config).eval()


def _vision(transformers: Any) -> Any:
    return transformers.CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, projection_dim=WIDTH,
        image_size=32, patch_size=8,
    )  # fmt: skip


def _extractor(transformers: Any) -> Any:
    return transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def _checker(loaded: libraries.Libraries, threshold: float) -> Any:
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker

    config = loaded.transformers.CLIPConfig(vision_config=_vision(loaded.transformers).to_dict(), projection_dim=WIDTH)
    checker = StableDiffusionSafetyChecker(config).eval()
    for weights in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
        weights.data.fill_(threshold)
    return checker


def _adapter(loaded: libraries.Libraries, unet: Any, folder: Path) -> None:
    """An IP-Adapter's two parts (Ye et al., 2023): a projection, and a key and a value for each cross attention."""
    torch = loaded.torch
    made = {
        "image_proj.proj.weight": torch.randn(4 * WIDTH, WIDTH),
        "image_proj.proj.bias": torch.zeros(4 * WIDTH),
        "image_proj.norm.weight": torch.ones(WIDTH),
        "image_proj.norm.bias": torch.zeros(WIDTH),
    }
    for at, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            block = unet.get_submodule(name.removesuffix(".processor"))
            for kind in ("to_k_ip", "to_v_ip"):
                made[f"ip_adapter.{at}.{kind}.weight"] = torch.randn(block.to_k.out_features, WIDTH)
    folder.mkdir()
    from safetensors.torch import save_file

    save_file(made, folder / "ip_adapter.safetensors")
    encoder = loaded.transformers.CLIPVisionModelWithProjection(_vision(loaded.transformers)).eval()
    encoder.save_pretrained(folder / "image_encoder", safe_serialization=True)
