"""What makes the notebooks work; a learner need not open it.

==================  =======================================================================
module              what it does
==================  =======================================================================
``setup_cell``      what each notebook's first code cell runs; a test keeps those cells alike
``quiz``            guesses before an experiment, and the questions at a lesson's end
``answer_checks``   what an exercise says of an answer
``name_errors``     says which cell comes first when a name is missing
``own_data``        looks at a reader's own examples, for lesson 8; ``own_table`` and
                    ``own_columns`` at the table that they come from
``own_model``       looks at the last layer and the loss of a reader's own model, for lesson 8
``views``           the interactive figures
``clinic``          the patients of lesson 8; its modules hold the answers
``clothing``        the pictures of lesson 6: drawn garments, and real photographs
==================  =======================================================================
"""
