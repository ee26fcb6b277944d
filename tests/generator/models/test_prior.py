"""The prior proposes codes for the words of a prompt."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from generator.models.prior import LAYOUTS, MAX_SAMPLERS, CodeSampler, Prior, PriorNetwork
from generator.models.vqgan import VQGAN
from generator.runtime.device import cpu_threads
from tests.generator.recording import Repeating


def propose(prior: Prior, text: str = "an apple", seed: int = 1, size: tuple[int, int] = (8, 8)) -> torch.Tensor:
    features = torch.nn.functional.normalize(torch.ones(1, 32), dim=-1)
    return prior.propose(text, features, 3, size, torch.Generator().manual_seed(seed))


def test_the_generator_alone_decides_what_is_proposed(prior: Prior) -> None:
    torch.manual_seed(1)
    first = propose(prior)
    torch.manual_seed(2)
    assert torch.equal(first, propose(prior))
    assert not torch.equal(first, propose(prior, seed=2))
    assert first.shape == (3, 8, 8)
    assert first.min() >= 0
    assert first.max() < prior.network.n_codes


def test_the_number_of_threads_does_not_matter(prior: Prior) -> None:
    with cpu_threads(1):
        alone = propose(prior)
    with cpu_threads(3):
        assert torch.equal(propose(prior), alone)
        assert torch.get_num_threads() == 3


def test_other_shapes_are_fitted(prior: Prior) -> None:
    assert propose(prior, size=(6, 20)).shape == (3, 6, 20)
    assert propose(prior, size=(16, 8)).shape == (3, 16, 8)


def test_a_known_word_is_sketched_and_an_unknown_one_is_not(prior: Prior) -> None:
    apple, castle = prior.sketch("an apple"), prior.sketch("a castle")
    assert apple.shape == (8, 8)
    assert not torch.equal(apple, castle)
    assert (prior.sketch("a zeppelin") == prior.network.n_codes).all()


def test_several_things_are_sketched_side_by_side(prior: Prior, vqgan: VQGAN) -> None:
    both = prior.sketch("an apple and a castle")
    assert both.shape == (8, 8)
    assert not torch.equal(both, prior.sketch("an apple"))
    assert not torch.equal(both, prior.sketch("two apples"))
    assert prior.sketch("four apples and four castles").shape == (8, 8)
    assert all(len(places) == count for count, places in LAYOUTS.items())


def test_sampling_step_by_step_follows_the_scores_of_the_whole(prior: Prior) -> None:
    """With one choice left (top_k 1), each drawn code is the best one of the scores given all codes before it."""
    network = prior.network
    features = torch.nn.functional.normalize(torch.randn(2, 32, generator=torch.Generator().manual_seed(3)), dim=-1)
    condition = network.condition(features, torch.stack([prior.sketch("an apple"), prior.sketch("nothing")]))
    codes = network.sample(condition, 1.0, 1, torch.Generator().manual_seed(0))
    assert torch.equal(network(codes, condition).argmax(dim=-1), codes)


def test_text_and_sketch_both_change_the_scores(prior: Prior) -> None:
    network: PriorNetwork = prior.network
    random = torch.randn(2, 1, 32, generator=torch.Generator().manual_seed(3))
    one, other = torch.nn.functional.normalize(random, dim=-1)
    apple, castle = prior.sketch("an apple")[None], prior.sketch("a castle")[None]
    codes = apple.flatten(1)
    base = network(codes, network.condition(one, apple))
    assert not torch.allclose(base, network(codes, network.condition(other, apple)))
    assert not torch.allclose(base, network(codes, network.condition(one, castle)))


def test_masks_are_not_part_of_the_weights(prior: Prior) -> None:
    assert not [name for name in prior.network.state_dict() if "mask" in name]


def condition_of(network: PriorNetwork, count: int, seed: int = 3) -> Tensor:
    features = torch.nn.functional.normalize(
        torch.randn(count, 32, generator=torch.Generator().manual_seed(seed)), dim=-1
    )
    return network.condition(features, torch.full((count, network.grid, network.grid), network.n_codes))


def test_a_recorded_pass_gives_the_scores_of_the_whole(prior: Prior) -> None:
    """With one choice left (top_k 1), each drawn code is the best one of the scores given all codes before it."""
    network, recorder = prior.network, Repeating()
    condition = condition_of(network, 2)
    sampler = CodeSampler(network, 2, 1.0, 1, recorder)
    codes = sampler.sample(condition, torch.Generator().manual_seed(0))
    assert torch.equal(network(codes, condition).argmax(dim=-1), codes)
    assert torch.equal(codes, network.sample(condition, 1.0, 1, torch.Generator().manual_seed(0)))
    assert (recorder.recorded, recorder.replayed) == (1, 64)


def test_recorded_draws_follow_the_probabilities_of_the_scores() -> None:
    network = PriorNetwork(n_codes=256, grid=2, text_width=32, n_layer=1, n_head=2, n_embd=32).eval()
    condition = condition_of(network, 1).expand(4096, -1, -1)
    sampler = CodeSampler(network, 4096, 1.0, 4, Repeating())
    first = sampler.sample(condition, torch.Generator().manual_seed(5))[:, 0]
    scores = network(torch.zeros(1, 4, dtype=torch.long), condition[:1])[0, 0].topk(4)
    shares = torch.stack([(first == code).float().mean() for code in scores.indices])
    assert torch.allclose(shares, scores.values.softmax(dim=-1), atol=0.03)


def test_a_sampler_forgets_what_it_drew_before(prior: Prior) -> None:
    sampler = CodeSampler(prior.network, 2, 1.0, 8, Repeating())
    first = sampler.sample(condition_of(prior.network, 2), torch.Generator().manual_seed(1))
    sampler.sample(condition_of(prior.network, 2, seed=4), torch.Generator().manual_seed(2))
    assert torch.equal(sampler.sample(condition_of(prior.network, 2), torch.Generator().manual_seed(1)), first)


def with_recorder(prior: Prior, recorder: Repeating) -> Prior:
    return Prior(prior.network, prior._vqgan, prior._lexicon, prior._stored, 1.0, 8, recorder)


def test_a_prior_with_a_recorder_keeps_a_few_samplers(prior: Prior) -> None:
    recorder = Repeating()
    recorded = with_recorder(prior, recorder)
    features = torch.nn.functional.normalize(torch.ones(1, 32), dim=-1)
    for count in (1, 2, 1, 3, 4, 5, 1):
        codes = recorded.propose("an apple", features, count, (8, 8), torch.Generator().manual_seed(1))
        assert codes.shape == (count, 8, 8)
    assert recorder.recorded == 5 and len(recorded._samplers) == MAX_SAMPLERS


def test_a_prior_that_cannot_be_recorded_draws_the_same_codes(prior: Prior, caplog: pytest.LogCaptureFixture) -> None:
    plain = with_recorder(prior, Repeating(RuntimeError("CUDA error: capture failed\ntrace")))
    with caplog.at_level(logging.WARNING):
        codes = propose(plain)
    assert caplog.messages == [
        "The prior could not be captured as a CUDA graph and runs slower: CUDA error: capture failed"
    ]
    assert torch.equal(codes, propose(with_recorder(prior, Repeating())))


def test_a_prior_for_which_memory_is_short_says_so(prior: Prior) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        propose(with_recorder(prior, Repeating(torch.OutOfMemoryError("CUDA out of memory."))))
