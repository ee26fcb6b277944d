"""Films in the making: frame after frame, from plan to disk. Worker thread."""
