"""Ability (b): one-step and two-step tool tasks in the chat template's own message form.

A two-step task needs a value of the first result as the argument of the second call. `make(rng, steps)` gives
one instance; `episode(instance)` the whole conversation; `pick_tools` the list of offered tools.
"""
import json

from words import CITIES, CODES, PEOPLE, held_out


def email(rng):
    return f"{rng.choice(PEOPLE).lower()}@{rng.choice(CODES)}.com"


def phone(rng):
    return f"555-{rng.randint(10, 99)}"


def address(rng):
    return f"{rng.choice(CODES)}.{rng.choice(CODES)}.net"


def parcel(rng):
    return f"{rng.choice('ABCDEFGH')}{rng.choice('KLMNPQR')}-{rng.randint(10, 99)}"


def shelf(rng):
    return f"{rng.choice('ABCDEF')}{rng.randint(1, 40)}"


def door_code(rng):
    return f"{rng.choice(CODES)}-{rng.randint(10, 99)}"


def city(rng):
    return rng.choice(CITIES)


def person(rng):
    return rng.choice(PEOPLE)


def number(rng):
    return rng.randint(2, 99)


# kind -> prefix of its ids, getter names, fields that a result shows
ENTITIES = {
    "customer": ("C", ("get_customer", "find_customer"), {"email": email, "phone": phone, "city": city}),
    "order": ("O", ("get_order", "load_order"), {"parcel": parcel, "city": city, "total": number}),
    "product": ("P", ("get_product", "show_product"), {"price": number, "shelf": shelf, "maker": person}),
    "server": ("S", ("get_server", "read_server"), {"address": address, "owner": person, "load": number}),
    "room": ("R", ("get_room", "find_room"), {"door": door_code, "floor": number, "owner": person}),
    "employee": ("E", ("get_employee", "load_employee"), {"email": email, "phone": phone, "room": shelf}),
}
# name -> (parameter, maker, how it is asked, description)
ACTIONS = {
    "send_email": ("email", email, "send an email to", "Send an email to an address."),
    "call_phone": ("phone", phone, "call", "Call a phone number."),
    "send_sms": ("phone", phone, "send a text message to", "Send a text message to a phone number."),
    "check_weather": ("city", city, "check the weather in", "Check the weather in a city."),
    "book_hotel": ("city", city, "book a hotel in", "Book a hotel in a city."),
    "track_parcel": ("parcel", parcel, "track", "Track a parcel by its code."),
    "open_shelf": ("shelf", shelf, "open", "Open a shelf in the store."),
    "ping_host": ("address", address, "ping", "Ping a network address."),
    "restart_host": ("address", address, "restart", "Restart the host at an address."),
    "unlock_door": ("door", door_code, "unlock the door with", "Unlock a door with its code."),
    "notify_person": ("person", person, "notify", "Notify a person."),
}
FIELD_ACTIONS = {
    "email": ("send_email",), "phone": ("call_phone", "send_sms"), "city": ("check_weather", "book_hotel"),
    "parcel": ("track_parcel",), "shelf": ("open_shelf",), "address": ("ping_host", "restart_host"),
    "door": ("unlock_door",), "owner": ("notify_person",), "maker": ("notify_person",), "room": ("open_shelf",),
}


def schema(name, description, params):
    return {"name": name, "description": description,
            "parameters": {"type": "object", "properties": {p: {"type": "string"} for p in params}, "required": list(params)}}


def getter_schema(kind, name):
    return schema(name, f"Get one {kind} by id.", (f"{kind}_id",))


def action_schema(name):
    return schema(name, ACTIONS[name][3], (ACTIONS[name][0],))


def entity(rng, kind):
    prefix, getters, fields = ENTITIES[kind]
    return f"{prefix}-{rng.randint(10, 99)}", {k: f(rng) for k, f in fields.items()}


def make(rng, steps):
    """steps 1: a look-up question or one action; steps 2: look up, then act on what was found."""
    kind = rng.choice(list(ENTITIES))
    ident, fields = entity(rng, kind)
    getter = rng.choice(ENTITIES[kind][1])
    usable = [f for f in fields if f in FIELD_ACTIONS]
    field = rng.choice(usable if steps == 2 else list(fields))
    calls, results = [(getter, {f"{kind}_id": ident})], [{"id": ident, **fields}]
    if steps == 2:
        action = rng.choice(FIELD_ACTIONS[field])
        param, _, phrase, _ = ACTIONS[action]
        prompt = rng.choice((
            f"Find the {field} of {kind} {ident} and {phrase} it.",
            f"Look up {kind} {ident}, then {phrase} the {field} you find.",
            f"Please {phrase} the {field} of {kind} {ident}."))
        calls.append((action, {param: str(fields[field])}))
        results.append({"ok": True})
        thoughts = [f"I need the {field} of {kind} {ident}. I call {getter}.",
                    f"The {field} is {fields[field]}. I call {action}.", "It worked."]
        final = f"Done: {action} for {fields[field]}."
        needed = [getter_schema(kind, getter), action_schema(action)]
    elif rng.random() < 0.55:
        prompt = rng.choice((f"What is the {field} of {kind} {ident}?", f"Tell me the {field} of {kind} {ident}.",
                             f"Look up the {field} for {kind} {ident}."))
        thoughts = [f"I need the {field} of {kind} {ident}. I call {getter}.", f"The {field} is {fields[field]}."]
        final = f"The {field} of {kind} {ident} is {fields[field]}."
        needed = [getter_schema(kind, getter)]
    else:
        action = rng.choice(list(ACTIONS))
        param, maker, phrase, _ = ACTIONS[action]
        value = maker(rng)
        prompt = rng.choice((f"Please {phrase} {value}.", f"{phrase[0].upper()}{phrase[1:]} {value}.", f"I want you to {phrase} {value}."))
        calls, results = [(action, {param: value})], [{"ok": True}]
        thoughts = [f"I have to {phrase} {value}. I call {action}.", "It worked."]
        final = f"Done: {action} for {value}."
        needed = [action_schema(action)]
    key = ("tools", prompt.split(" ")[0], tuple((n, tuple(a.items())) for n, a in calls))
    return dict(key=key, held_out=held_out(key), steps=steps, prompt=prompt, calls=calls, results=results,
                thoughts=thoughts, final=final, needed=needed)


def pick_tools(rng, instances, extra=None):
    """The needed tools of all instances and a few others, in random order."""
    tools = {t["name"]: t for inst in instances for t in inst["needed"]}
    others = [getter_schema(k, rng.choice(g)) for k, (_, g, _) in ENTITIES.items()] + [action_schema(a) for a in ACTIONS]
    rng.shuffle(others)
    count = rng.randint(1, 3) if extra is None else extra
    taken = {t["description"] for t in tools.values()}
    for t in others:
        if count == 0:
            break
        if t["name"] not in tools and t["description"] not in taken:
            tools[t["name"]] = t
            count -= 1
    out = list(tools.values())
    rng.shuffle(out)
    return out


def result_content(rng, result):
    """A tool answers with JSON text; sometimes the client passes the object itself."""
    return json.dumps(result) if rng.random() < 0.7 else result


def episode(rng, inst, first_id=0):
    messages = [{"role": "user", "content": inst["prompt"]}]
    for i, (name, args) in enumerate(inst["calls"]):
        ident = f"c{first_id + i}"
        messages.append({"role": "assistant", "reasoning_content": inst["thoughts"][i],
                         "tool_calls": [{"id": ident, "type": "function", "function": {"name": name, "arguments": args}}]})
        messages.append({"role": "tool", "tool_call_id": ident, "content": result_content(rng, inst["results"][i])})
    messages.append({"role": "assistant", "reasoning_content": inst["thoughts"][-1], "content": inst["final"]})
    return messages
