"""The tiny models of the generator's tests."""

from tests.generator.conftest import make_clip, make_request, models, one_thread, png, prior, vqgan, vqgan_config  # noqa: F401
