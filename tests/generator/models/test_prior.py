"""The prior proposes codes for the words of a prompt."""

from __future__ import annotations

import torch

from generator.models.prior import LAYOUTS, Prior, PriorNetwork
from generator.models.vqgan import VQGAN
from generator.runtime.device import as_many_threads


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
    with as_many_threads(1):
        alone = propose(prior)
    with as_many_threads(3):
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
