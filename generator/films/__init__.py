"""Plans of films: keyframes, camera, shots and templates. Plain values without torch; any thread."""
