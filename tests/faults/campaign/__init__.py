"""A hundred hostile connections beside ten honest switches under traffic: does op25b keep its promises?

``world`` has the honest switches and the controller, ``watch`` looks at their tables, states and process,
``disturb`` harms their rules, ``hostile`` is the attack, and ``promises`` judges.
"""
