"""The tiny models of the generator's own tests."""

from tests.generator.conftest import ensemble, make_clip, models, one_thread, prior, vqgan, vqgan_config  # noqa: F401 - fixtures
