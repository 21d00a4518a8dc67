"""What memory does an idle connection take?

Method: a fresh broker each time, because an allocator that keeps what was freed hides the cost.
10,000 clients connect (MQTT 3.1.1, clean session, no subscription) and stay. Growth of the resident
memory of the broker's process, by connections; what the kernel keeps for the sockets is not in it.
"""

from __future__ import annotations

from measure import Answer, Question, Setup, compared, memory_per_operation, rotated

_LOAD = ("connect", "--count", "10000", "--keep")
_IDLE = Question(
    "idle", "10,000 idle connections: resident memory of each", "bytes", _LOAD, 1536, absolute=True
)
NAMES = (_IDLE.name,)


def answers(setup: Setup) -> list[Answer]:
    """Ask."""
    recipes = [setup.ours, *setup.peers]
    found = {recipe.name: Answer(_IDLE, recipe.name, recipe.version) for recipe in recipes}
    for repeat in range(setup.repeats):
        for recipe in rotated(recipes, repeat):
            with setup.running(recipe) as broker:
                sample = setup.load.run(broker, _IDLE.load, memory_per_operation)
            found[recipe.name].samples.append(sample)
            setup.note(_IDLE, recipe.name, repeat, sample)
    return compared(found.values(), setup.base)
