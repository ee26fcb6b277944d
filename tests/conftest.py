"""What all tests share: the profile of hypothesis."""

from hypothesis import settings

# The machines that run the tests are busy now and then, so a slow example says nothing about the code.
settings.register_profile("reverie", deadline=None)
settings.load_profile("reverie")
