"""Sharpen the decoder: `python -m training.decoder`, after training.vqgan and training.perceptor.

Encoder and codebook stay fixed, so that every code keeps its meaning. The losses of training.vqgan are extended by the
perceptor's early features and a patch discriminator, whose weight follows the ratio of the gradients at the last layer
(Esser et al., arXiv 2012.09841, section 3.1): without them the decoder blurs uncertain edges.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor, nn

from generator.models.clip import CLIP, ModifiedResNet
from generator.models.vqgan import VQGAN
from training import run
from training.data import crops
from training.perceptor import MEAN, SHAPE, STD
from training.vqgan import CONFIG, CROP_PX, WHOLE_PX, reconstruction_loss

PARTS = ("vqgan", "perceptor", "vocabulary")
PEAK, CRITIC_PEAK = 2e-4, 4e-4
FEATURES_WEIGHT, ADVERSARIAL_SHARE = 0.6, 0.2
ALONE_STEPS = 100  # the discriminator trains this long before it affects the decoder
WEIGHED_EVERY = 8


class Discriminator(nn.Module):
    """Classify patches of about 30 px as drawn or decoded, `[N, 3, H, W] in 0..1` to `[N, 1, H / 4, W / 4]`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.GroupNorm(8, 64), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 96, 3, 1, 1, bias=False), nn.GroupNorm(8, 96), nn.LeakyReLU(0.2),
            nn.Conv2d(96, 1, 3, 1, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Scores, positive where a patch looks drawn."""
        return torch.as_tensor(self.layers(images * 2 - 1))


def early_features(visual: ModifiedResNet, images: Tensor) -> list[Tensor]:
    """The perceptor's features before its third stage, normalised to unit length at each position."""
    x = (images - MEAN.to(images)) / STD.to(images)
    for number in (1, 2, 3):
        convolution, norm = visual.get_submodule(f"conv{number}"), visual.get_submodule(f"bn{number}")
        x = F.relu(norm(convolution(x)))
    features = [x]
    x = visual.layer1(visual.avgpool(x))
    features.append(x)
    features.append(visual.layer2(x))
    return [F.normalize(part, dim=1) for part in features]


def feature_loss(visual: ModifiedResNet, output: Tensor, target: Tensor) -> Tensor:
    """Distance between features, the mean over layers."""
    with torch.no_grad():
        wanted = early_features(visual, target)
    seen = early_features(visual, output)
    parts = [(ours - theirs).square().sum(dim=1).mean() for ours, theirs in zip(seen, wanted, strict=True)]
    return torch.stack(parts).mean()


def gradient_ratio(loss: Tensor, adversarial: Tensor, last: Tensor) -> float:
    """Ratio of the two losses' gradient norms at the last layer, at most 100."""
    (ours,) = torch.autograd.grad(loss, last, retain_graph=True)
    (theirs,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return min(100.0, float(ours.norm() / (theirs.norm() + 1e-6)))


class Sharpening:
    """One training step of both sides: the decoder and its discriminator."""

    def __init__(self, model: VQGAN, visual: ModifiedResNet, critic: Discriminator) -> None:
        self.model, self.visual, self.critic = model, visual, critic
        self.trained = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
        for part in self.trained:
            part.requires_grad_(True)
        self.optimiser = torch.optim.AdamW(self.trained, lr=PEAK, betas=(0.5, 0.95), weight_decay=1e-4)
        self.opponent = torch.optim.AdamW(critic.parameters(), lr=CRITIC_PEAK, betas=(0.5, 0.95), weight_decay=1e-3)
        self.last, self.ratio = model.decoder.get_parameter("conv_out.weight"), 0.0

    def decoder_step(self, step: int, images: Tensor, target: Tensor) -> tuple[Tensor, float]:
        """Update the decoder; return its images and its loss."""
        with torch.no_grad():
            quantised, _ = self.model.quantise(self.model.encode(images))
        output = self.model.decode(quantised)
        loss = reconstruction_loss(output, target) + FEATURES_WEIGHT * feature_loss(self.visual, output, target)
        if step >= ALONE_STEPS:
            self.critic.requires_grad_(False)
            adversarial = -self.critic(output).mean()
            if step % WEIGHED_EVERY == 0 or self.ratio == 0.0:
                self.ratio = gradient_ratio(loss, adversarial, self.last)
            loss = loss + ADVERSARIAL_SHARE * self.ratio * adversarial
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimiser.step()
        return output.detach(), loss.item()

    def critic_step(self, painted: Tensor, drawn: Tensor) -> float:
        """Update the discriminator by the hinge loss; return that loss, 2 if it sees no difference."""
        self.critic.requires_grad_(True)
        loss = F.relu(1 - self.critic(drawn)).mean() + F.relu(1 + self.critic(painted)).mean()
        self.opponent.zero_grad(set_to_none=True)
        loss.backward()
        self.opponent.step()
        return loss.item()


def frozen_models(work: Path, device: str) -> tuple[VQGAN, ModifiedResNet]:
    """The VQGAN, and the perceptor's image encoder."""
    read = {name: torch.load(work / f"{name}.pt", map_location="cpu", weights_only=True) for name in PARTS}
    model = VQGAN(OmegaConf.load(CONFIG))  # type: ignore[arg-type]  # our own yaml is a mapping
    model.load_state_dict(read["vqgan"]["average"])
    perceptor = CLIP(**SHAPE, vocab_size=len(read["vocabulary"]))
    perceptor.load_state_dict(read["perceptor"]["average"])
    visual = perceptor.visual.eval().requires_grad_(False).to(device)
    return model.requires_grad_(False).to(device), visual


def main() -> None:
    options = run.arguments(__doc__, steps=1500, batch=8)
    torch.manual_seed(options.seed + 300)
    model, visual = frozen_models(options.work, options.device)
    critic = Discriminator().to(options.device)
    both = Sharpening(model, visual, critic)
    average = run.Average(model, 0.995)
    optimisers = {"optimiser": both.optimiser, "opponent": both.opponent}
    parts = {"model": model, "average": average, "critic": critic, **optimisers}
    state = run.Run(options.work / "decoder.pt", options.steps, parts)
    seed = options.seed + 400 + state.step
    small = crops(options.work, CROP_PX, options.batch, seed)
    whole = crops(options.work, WHOLE_PX, max(1, options.batch * CROP_PX**2 // WHOLE_PX**2), seed + 50)
    while state.step < options.steps:
        for group in both.optimiser.param_groups:
            group["lr"] = run.learning_rate(state.step, options.steps, PEAK)
        images, target = (part.to(options.device) for part in next(whole if state.step % 3 == 0 else small))
        output, loss = both.decoder_step(state.step, images, target)
        average.update()
        told = both.critic_step(output, target)
        error = F.mse_loss(output.clamp(0, 1), target)
        state.advance(loss=loss, psnr=-10 * error.log10().item(), critic=told, ratio=both.ratio)


if __name__ == "__main__":
    main()
