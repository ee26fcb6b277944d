"""Tiny SigLIPs and text towers of transformers, timm and open_clip with random weights, saved as published ones are.

Their tokenizers are trained here on a few sentences: the published ones are in no package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from generator.checkpoints.clip.source import PerceptorSource
from generator.checkpoints.library import _opened_perceptor
from generator.models.clip import Perceptor

SIDE, CONTEXT = 32, 16
WORDS = 120
SENTENCES = (
    "a red apple on a table", "a castle at night under the moon", "ein roter Apfel auf einem Tisch",
    "eine Burg in der Nacht", "une pomme rouge sur la table", "un château la nuit", "красное яблоко на столе",
    "замок ночью под луной", "赤いりんご", "夜の城", "the quick brown fox jumps over the lazy dog",
)  # fmt: skip
TEXTS = ("A red apple, on a table!", "eine Burg in der Nacht", "夜の城 under_the moon", "apple " * 40)


def random_weights(model: nn.Module) -> nn.Module:
    """Fill a model with random numbers, all large enough to count."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for name, parameter in model.named_parameters():
            norm = parameter.dim() == 1 and ("norm" in name.lower() or "ln_" in name) and name.endswith("weight")
            nn.init.normal_(parameter, 1.0 if norm else 0.0, 0.2)
    return model.eval()


def unigram(special: Iterable[str]) -> Tokenizer:
    """A tokenizer as SigLIP's and XLM-RoBERTa's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    given = {"vocab_size": WORDS, "special_tokens": list(special), "unk_token": "<unk>", "show_progress": False}
    trainer = trainers.UnigramTrainer(**given)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def siglips() -> Tokenizer:
    """One with SigLIP's marks: `</s>` ends a text and fills it up."""
    return framed(unigram(("<pad>", "</s>", "<unk>")), "$A </s>")


def xlm_robertas() -> Tokenizer:
    """One with XLM-RoBERTa's marks."""
    return framed(unigram(("<s>", "<pad>", "</s>", "<unk>")), "<s> $A </s>")


def berts() -> Tokenizer:
    """One with BERT's marks, and the cut that sentence-transformers leaves in the file."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer, tokenizer.pre_tokenizer = (
        normalizers.BertNormalizer(lowercase=False),
        pre_tokenizers.BertPreTokenizer(),
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=WORDS, special_tokens=special, show_progress=False)
    )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return framed(tokenizer, "[CLS] $A [SEP]")


def gemmas() -> Tokenizer:
    """One with the marks of Gemma's, which SigLIP 2 has."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokenizer.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=WORDS, special_tokens=special, show_progress=False)
    )
    return framed(tokenizer, "$A <eos>")


def framed(tokenizer: Tokenizer, template: str) -> Tokenizer:
    marks = [(part, tokenizer.token_to_id(part)) for part in template.split() if part != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=marks)
    return tokenizer


def size_of(tokenizer: Tokenizer) -> int:
    return tokenizer.get_vocab_size(with_added_tokens=True)


def save(folder: Path, state: Mapping[str, Tensor], tokenizer: Tokenizer | None, **configs: object) -> Path:
    """Save a folder as on Hugging Face; the names of configs are those of their files without `.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    if tokenizer is not None:
        tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / "model.safetensors"


def opened(path: Path, folder: Path) -> Perceptor:
    found = _opened_perceptor(PerceptorSource.of(path), folder, None)
    state = {name: tensor.clone() for name, tensor in found.tensors.items()}
    return Perceptor.from_state(found.name, state, config=found.config)


def siglip(rows: int) -> nn.Module:
    """A SigLIP of transformers."""
    from transformers import SiglipConfig, SiglipModel

    text = {
        "vocab_size": rows, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": CONTEXT, "projection_size": 48, "pad_token_id": 1,
        "bos_token_id": None, "eos_token_id": 1,
    }  # fmt: skip
    vision = {
        "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 3,
        "image_size": SIDE, "patch_size": 8,
    }  # fmt: skip
    return random_weights(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)))


def siglip_folder(folder: Path, tokenizer: Tokenizer, model: nn.Module) -> Path:
    """The folder of such a SigLIP, as Google publishes it."""
    config = model.config.to_dict()
    colours = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": SIDE, "width": SIDE}}
    kept = {name: config[name] for name in ("model_type", "text_config", "vision_config")}
    return save(folder, model.state_dict(), tokenizer, config=kept, preprocessor_config=colours)


def siglip_of_timm(rows: int) -> nn.Module:
    """open_clip's SigLIP around a picture tower of timm."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
    from timm.models import is_model, register_model, vision_transformer

    def tiny_siglip(pretrained: bool = False, **given: object) -> nn.Module:
        shape = {"img_size": SIDE, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 2}
        kind = {"class_token": False, "global_pool": "map", "act_layer": "gelu_tanh"}
        return vision_transformer._create_vision_transformer(
            "vit_base_patch16_siglip_224", pretrained=pretrained, **{**shape, **kind, **given}
        )

    tiny_siglip.__module__ = vision_transformer.__name__
    if not is_model("tiny_siglip"):
        register_model(tiny_siglip)
    vision = CLIPVisionCfg(timm_model_name="tiny_siglip", timm_pool="map", timm_proj="none", image_size=SIDE)
    text = CLIPTextCfg(
        context_length=CONTEXT, vocab_size=rows, width=64, heads=4, layers=2, no_causal_mask=True, proj_bias=True,
        pool_type="last", norm_kwargs={"eps": 1e-6}, act_kwargs={"approximate": "tanh"},
    )  # fmt: skip
    return random_weights(CustomTextCLIP(48, vision, text, init_logit_bias=-10))


def xlm_roberta(rows: int, hidden: int = 64) -> nn.Module:
    """The network of XLM-RoBERTa."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=rows, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=130, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
        eos_token_id=2,
    )  # fmt: skip
    return random_weights(XLMRobertaModel(config))


def xlm_roberta_clip(rows: int, projection: str | None) -> nn.Module:
    """open_clip's CLIP with a ViT that sees and an XLM-RoBERTa that reads."""
    from open_clip.hf_model import HFTextEncoder
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

    vision = CLIPVisionCfg(layers=2, width=64, head_width=32, patch_size=8, image_size=SIDE)
    # open_clip itself would look for the configuration of a name on the network.
    model = CustomTextCLIP(48, vision, CLIPTextCfg(context_length=CONTEXT, vocab_size=8, width=64, heads=4, layers=1))
    reads = xlm_roberta(rows, 48 if projection is None else 64)
    model.text = HFTextEncoder("", 48, config=reads.config, pooler_type="mean_pooler", proj_type=projection)
    return random_weights(model)


def distilbert(rows: int) -> nn.Module:
    """The network of DistilBERT."""
    from transformers import DistilBertConfig, DistilBertModel

    config = DistilBertConfig(
        vocab_size=rows, dim=64, n_layers=2, n_heads=4, hidden_dim=96, max_position_embeddings=128, pad_token_id=0
    )
    return random_weights(DistilBertModel(config))


def same(ours: Tensor, theirs: Tensor, most: float = 2e-6) -> bool:
    """True if unit vectors agree beyond rounding with those that others made, of any length."""
    return bool((ours - nn.functional.normalize(theirs, dim=-1)).abs().max() < most)
