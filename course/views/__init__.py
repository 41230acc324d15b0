"""Interactive views, a module for the lessons that show them.

===============  ========  ==============================================================
module           lesson    its views
===============  ========  ==============================================================
``descent``      1 and 2   a parabola, a ravine, two wells
``optimizers``   3         four optimizers race down a ravine
``schedules``    4         a schedule, the area under it, and the loss it leads to
``sweeps``       5         a whole sweep at each change; a range test with known theory
``transfer``     6         two sweeps replayed epoch by epoch
``curvature``    7         the curvature against its limit; a rate for another batch size
===============  ========  ==============================================================

A view comes in three parts, beside each other in one module. `..._numbers(...)` computes what a
picture shows from plain numbers; `..._figure(...)` draws it once, for print; `explore_...()` puts
sliders in front of it. A picture has a `figure` and a method `draw(...)` that moves the lines and
texts marked `animated`.
"""
