"""Many users at once, as shares and tiers need them."""


def leave(*people: str) -> list[str]:
    return [s for who in people for s in (f"{who} > (close 1000)", f"{who} < (close 1000)")]


def crowd(size: int, broken: int) -> list[str]:
    """So many users at once, each with one run; of some the tool never ends."""
    said = [f"u{n} connects /" for n in range(size)]
    for n in range(size):
        who = f"u{n}"
        said.append(f"{who} > user_message t{n} content=hello")
        events = ["agent_started", "agent_thinking", f"tool_executing c{n}", f"tool_completed c{n}", "agent_completed"]
        said += [f"{who} < {e} t{n} r{n}" for e in events if n >= broken or "tool_completed" not in e]
    return [*said, *leave(*(f"u{n}" for n in range(size)))]
