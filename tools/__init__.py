"""What only contributors and instructors run, each as `python -m tools.NAME`.

=============  ====================================================================================
``notebooks``  execute the lessons and store them; ``rules`` says what a stored lesson must be
``exercises``  write the students' notebooks, and try the wrong answers of ``exercises/mutants``
``marking``    collect, mark and hand back a class's work, in sandboxes
``front``      the README's picture, promises and lesson table, from the lessons
``site``       the course as web pages; ``views`` keeps positions of its sliders as pictures
``matrix``     every notebook in every environment; ``published`` stands in for the address
``address``    write where the course is published, wherever that is said
``contact``    contact sheets of all figures, as different eyes see them
``lock``       the tested pins; ``imports`` draws who imports whom
``pretrain``   the shipped weights of lesson 6, learned from what ``invented`` draws
``marked``     the parts of Markdown files that a program writes
=============  ====================================================================================
"""
