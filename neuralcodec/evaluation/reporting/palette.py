"""Colours that people with any colour vision can tell apart.

M. Okabe and K. Ito, "Color Universal Design", 2008; on white the light ones are darkened, on black the dark ones
lightened, to a contrast of at least 3 to 1 with the ground.
"""

LIGHT = ("#0072b2", "#d55e00", "#00866a", "#bc5f93", "#a87400", "#2f8fca", "#2a2a2a", "#857b00")
DARK = ("#5aa9e6", "#f0803c", "#2dc79a", "#e29cc4", "#f2b63d", "#a3dbff", "#ebe9e4", "#f0e442")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
