"""Writes the demo corpus: sentence triples in English, French and Swahili.

    python corpus.py OUT_DIR

writes train.tsv and heldout.tsv (English, French, Swahili), the same at every
run. Within the corpus a sentence of one language belongs to one triple only, so
that an exact match with the reference is a fair measure.
"""

import os
import random
import sys

from lexicon import *

RNG = random.Random(20261124)
HERE = os.path.dirname(os.path.abspath(__file__))


def sentence(text):
    return text[0].upper() + text[1:]


# ---- numbers

EN_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
EN_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
FR_UNITS = "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf".split()
FR_TENS = ["", "", "vingt", "trente", "quarante", "cinquante", "soixante"]
SW_UNITS = ["sifuri", "moja", "mbili", "tatu", "nne", "tano", "sita", "saba", "nane", "tisa"]
SW_TENS = ["", "kumi", "ishirini", "thelathini", "arobaini", "hamsini", "sitini", "sabini", "themanini", "tisini"]


def en_number(n):
    if n < 20:
        return EN_UNITS[n]
    if n < 100:
        return EN_TENS[n // 10] + ("-" + EN_UNITS[n % 10] if n % 10 else "")
    if n < 1000:
        return EN_UNITS[n // 100] + " hundred" + (" and " + en_number(n % 100) if n % 100 else "")
    return en_number(n // 1000) + " thousand" + (" " + en_number(n % 1000) if n % 1000 else "")


def fr_number(n):
    if n < 20:
        return FR_UNITS[n]
    if n < 70:
        t, u = divmod(n, 10)
        return FR_TENS[t] + ("" if u == 0 else " et un" if u == 1 else "-" + FR_UNITS[u])
    if n < 80:
        return "soixante et onze" if n == 71 else "soixante-" + FR_UNITS[n - 60]
    if n < 100:
        return "quatre-vingts" if n == 80 else "quatre-vingt-" + FR_UNITS[n - 80]
    if n < 1000:
        h, r = divmod(n, 100)
        head = "cent" if h == 1 else FR_UNITS[h] + " cent" + ("s" if r == 0 else "")
        return head + (" " + fr_number(r) if r else "")
    t, r = divmod(n, 1000)
    return ("mille" if t == 1 else fr_number(t).removesuffix("s") + " mille" if t in (80,) else fr_number(t) + " mille") + (" " + fr_number(r) if r else "")


def sw_number(n):
    if n < 10:
        return SW_UNITS[n]
    if n < 100:
        t, u = divmod(n, 10)
        return SW_TENS[t] + (" na " + SW_UNITS[u] if u else "")
    if n < 1000:
        h, r = divmod(n, 100)
        return "mia " + SW_UNITS[h] + (" na " + sw_number(r) if r else "")
    t, r = divmod(n, 1000)
    return "elfu " + sw_number(t) + (" na " + sw_number(r) if r else "")


SW_COUNT = {2: "wili", 3: "tatu", 4: "nne", 5: "tano", 8: "nane"}


def sw_count(n, cls):
    """The numeral n as it agrees with a plural noun."""
    if n not in SW_COUNT:
        return SW_UNITS[n] if n < 10 else "kumi"
    if cls == 10:
        return SW_UNITS[n]
    return NUMERAL_PREFIX[cls] + SW_COUNT[n]


# ---- noun phrases: (en, fr, sw)

def definite(n, k):
    return "the " + n.en[k], ("les " + n.fr[1]) if k else article(n.fr[0], n.gender), n.sw[k]


def demonstrative(n, k):
    return ("these " if k else "this ") + n.en[k], this(n, k) + " " + n.fr[k], n.sw[k] + " " + THIS[n.cls[k]]


def owned(n, k, owner):
    return f"{owner[0]} {n.en[k]}", f"{possessive(n.fr[k], n.gender, owner, k)} {n.fr[k]}", f"{n.sw[k]} {POSSESSIVE[n.cls[k]]}{owner[2]}"


def counted(n, c):
    return f"{EN_UNITS[c]} {n.en[1]}", f"{FR_UNITS[c]} {n.fr[1]}", f"{n.sw[1]} {sw_count(c, n.cls[1])}"


# Swahili nouns whose singular and plural look alike in class 9/10 are told apart
# by what agrees with them only: alone they stand in the singular.
def same_form(n):
    return n.sw[0] == n.sw[1]


def any_object():
    n = RNG.choice(THINGS)
    kind = RNG.randrange(4)
    k = 0 if same_form(n) and kind == 0 else RNG.randrange(2)
    if kind == 0:
        return definite(n, k)
    if kind == 1:
        return demonstrative(n, k)
    if kind == 2:
        return owned(n, k, RNG.choice(OWNERS))
    return counted(n, RNG.randrange(2, 11))


def any_subject():
    r = RNG.random()
    if r < 0.4:
        return RNG.choice(PRONOUNS)
    if r < 0.75:
        return noun_subject(RNG.choice(PEOPLE), RNG.randrange(2))
    return family_subject(RNG.choice(FAMILY), RNG.choice(OWNERS))


# ---- verbs

HAVE = ["ai", "avez", "a", "avons", "ont"]
FUTURE = ["ai", "ez", "a", "ons", "ont"]
TIMES = {
    "present": [("now", "maintenant", "sasa"), ("today", "aujourd'hui", "leo"), ("", "", "")],
    "past": [("yesterday", "hier", "jana"), ("last week", "la semaine dernière", "wiki iliyopita"), ("this morning", "ce matin", "asubuhi hii"), ("", "", "")],
    "future": [("tomorrow", "demain", "kesho"), ("next week", "la semaine prochaine", "wiki ijayo"), ("this evening", "ce soir", "jioni hii"), ("", "", "")],
}
STATIVE = {"want", "like"}


def fr_clause(subject, verb, object_, negative):
    """Subject, conjugated verb and object, with elision and negation."""
    pre, post = ("ne ", " pas") if negative else ("", "")
    aux, rest = (verb.split(" ", 1) + [""])[:2]
    if negative and elides(aux):
        pre = "n'"
    head = subject
    if subject == "je" and not negative and elides(aux):
        head = "j'"
    gap = "" if head == "j'" else " "
    return f"{head}{gap}{pre}{aux}{post}" + (f" {rest}" if rest else "") + f" {object_}"


def sw_verb(s, v, tense, negative):
    ku = "ku" if v.monosyllabic else ""
    if not negative:
        return s.prefix + {"present": "na", "past": "li", "future": "ta"}[tense] + ku + v.sw
    if tense == "present":
        return s.negative + v.sw_neg
    return s.negative + {"past": "ku", "future": "ta" + ku}[tense] + v.sw


def en_verb(s, v, tense, negative):
    if tense == "future":
        return f"will {'not ' if negative else ''}{v.en}"
    if tense == "past":
        return f"did not {v.en}" if negative else v.past
    if v.en in STATIVE:
        if negative:
            return f"{'does' if s.third else 'do'} not {v.en}"
        return v.en3 if s.third else v.en
    return f"{s.be} {'not ' if negative else ''}{v.ing}"


def fr_verb(s, v, tense):
    if tense == "present":
        return v.fr[s.person]
    if tense == "past":
        return f"{HAVE[s.person]} {v.participle}"
    return v.future + FUTURE[s.person]


def clause(s, v, obj, tense, negative, time):
    en = f"{s.en} {en_verb(s, v, tense, negative)} {obj[0]} {time[0]}"
    fr = fr_clause(s.fr, fr_verb(s, v, tense), obj[1], negative) + " " + time[1]
    sw = f"{s.sw} {sw_verb(s, v, tense, negative)} {obj[2]} {time[2]}"
    return tuple(sentence(" ".join(x.split())) + "." for x in (en, fr, sw))


def food_object(v, negative):
    f = RNG.choice(FOOD if v.en in ("eat", "cook") else DRINKS)
    fr = f[1]
    if negative:  # after a negation the partitive is a plain de
        noun = fr.split(" ", 1)[1] if fr.split(" ")[0] in ("du", "des") else fr.replace("de la ", "").replace("de l'", "")
        fr = ("d'" if elides(noun) else "de ") + noun
    return f[0], fr, f[3]


def actions():
    v = VERBS[RNG.choice(list(VERBS))]
    tense = "present" if v.en in STATIVE else RNG.choice(["present", "past", "future"])
    negative = RNG.random() < 0.2
    if v.en in ("eat", "drink", "cook"):
        obj = food_object(v, negative)
    elif v.en == "read":
        n = RNG.choice([t for t in THINGS if t.en[0] in ("book", "letter", "newspaper")])
        obj = RNG.choice([definite(n, 0), demonstrative(n, RNG.randrange(2)), owned(n, RNG.randrange(2), RNG.choice(OWNERS))])
    elif v.en == "repair":
        n = RNG.choice([t for t in THINGS if t.en[0] in ("car", "bicycle", "phone", "chair", "door", "window", "lamp", "table", "bed", "house")])
        obj = RNG.choice([definite(n, 0), demonstrative(n, RNG.randrange(2)), owned(n, RNG.randrange(2), RNG.choice(OWNERS))])
    elif v.en == "wash":
        n = RNG.choice([t for t in THINGS if t.en[0] in ("car", "cup", "shirt", "shoe", "table", "mango", "knife")])
        obj = RNG.choice([definite(n, 0), demonstrative(n, RNG.randrange(2)), owned(n, RNG.randrange(2), RNG.choice(OWNERS))])
    else:
        obj = any_object()
        while negative and obj[0].split()[0] in EN_UNITS:
            obj = any_object()
    time = RNG.choice(TIMES[tense]) if v.en not in STATIVE else ("", "", "")
    return clause(any_subject(), v, obj, tense, negative, time)


def questions():
    """Do you want two chairs? Did you buy this book?"""
    v = VERBS[RNG.choice(["buy", "want", "see", "like", "look for", "sell", "bring"])]
    obj = any_object()
    s = RNG.choice(PRONOUNS[1:])
    if v.en in STATIVE:
        tense, en = "present", f"do {s.en} {v.en} {obj[0]}"
    else:
        tense = RNG.choice(["past", "future"])
        en = (f"did {s.en} {v.en} {obj[0]}" if tense == "past" else f"will {s.en} {v.en} {obj[0]}")
    fr = "est-ce " + fr_clause("que vous" if s.fr == "vous" else "que nous" if s.fr == "nous" else "qu'ils", fr_verb(s, v, tense), obj[1], False) + " ?"
    sw = f"je, {sw_verb(s, v, tense, False)} {obj[2]}?"
    return sentence(en) + "?", sentence(fr), sentence(sw)


# ---- states

def adjectives_of(n):
    return [a for a in ADJECTIVES if not (n.en[0] in ("house", "tree", "flower", "mango", "orange", "egg", "banana", "chicken") and a.en in ("important", "long", "short"))]


def states():
    n = RNG.choice(THINGS)
    k = RNG.randrange(2)
    a = RNG.choice(adjectives_of(n))
    kind = RNG.randrange(3)
    if kind == 0:
        if same_form(n):
            k = 0
        np = definite(n, k)
    elif kind == 1:
        np = demonstrative(n, k)
    else:
        np = owned(n, k, RNG.choice(OWNERS))
    very = RNG.random() < 0.3
    no = not very and RNG.random() < 0.2
    be = "are" if k else "is"
    etre = "sont" if k else "est"
    en = f"{np[0]} {be} {'very ' if very else ''}{'not ' if no else ''}{a.en}."
    fr = f"{np[1]} {('ne ' if k else 'n' + chr(39)) if no else ''}{etre} {'pas ' if no else ''}{'très ' if very else ''}{a.fr[n.gender, k]}."
    sw = f"{np[2]} {'si' if no else 'ni'} {a.sw[n.cls[k]]}{' sana' if very else ''}."
    return sentence(en), sentence(fr), sentence(sw)


def places_of_things():
    n = RNG.choice(THINGS)
    k = 0 if same_form(n) else RNG.randrange(2)
    np = definite(n, k) if RNG.random() < 0.5 else owned(n, k, RNG.choice(OWNERS))
    if RNG.random() < 0.5:
        return (f"Where {'are' if k else 'is'} {np[0]}?", f"Où {'sont' if k else 'est'} {np[1]} ?", sentence(f"{np[2]} {LOCATIVE[n.cls[k]]} wapi?"))
    p = RNG.choice(PLACES)
    return (sentence(f"{np[0]} {'are' if k else 'is'} {p[1]}."), sentence(f"{np[1]} {'sont' if k else 'est'} {p[2]}."),
            sentence(f"{np[2]} {LOCATIVE[n.cls[k]]} {p[3]}."))


def prices():
    n = RNG.choice(THINGS)
    k = RNG.randrange(2)
    np = demonstrative(n, k)
    if RNG.random() < 0.2:
        return (f"How much {'do' if k else 'does'} {np[0]} cost?", f"Combien {'coûtent' if k else 'coûte'} {np[1]} ?", sentence(f"{np[2]} {SUBJECT[n.cls[k]]}nagharimu kiasi gani?"))
    amount = RNG.choice([RNG.randrange(2, 100), 100 * RNG.randrange(1, 10), 1000 * RNG.randrange(2, 20), 50 * RNG.randrange(2, 20)])
    return (sentence(f"{np[0]} {'cost' if k else 'costs'} {en_number(amount)} shillings."), sentence(f"{np[1]} {'coûtent' if k else 'coûte'} {fr_number(amount)} shillings."),
            sentence(f"{np[2]} {SUBJECT[n.cls[k]]}nagharimu shilingi {sw_number(amount)}."))


GO = ["vais", "allez", "va", "allons", "vont"]


def travel():
    s, p = any_subject(), RNG.choice(PLACES)
    kind = RNG.randrange(4)
    if kind == 0:
        t = RNG.choice([("tomorrow", "demain", "kesho"), ("now", "maintenant", "sasa"), ("today", "aujourd'hui", "leo"), ("", "", "")])
        out = (f"{s.en} {s.be} going {p[0]} {t[0]}", f"{s.fr} {GO[s.person]} {p[2]} {t[1]}", f"{s.sw} {s.prefix}naenda {p[3]} {t[2]}")
    elif kind == 1:
        t = RNG.choice([("every day", "tous les jours", "kila siku"), ("every week", "toutes les semaines", "kila wiki")] + [(f"every {d[0]}", f"tous les {d[1]}s", f"kila {d[2]}") for d in DAYS])
        out = (f"{s.en} {'goes' if s.third else 'go'} {p[0]} {t[0]}", f"{s.fr} {GO[s.person]} {p[2]} {t[1]}", f"{s.sw} {s.prefix}naenda {p[3]} {t[2]}")
    elif kind == 2:
        d = RNG.choice(DAYS)
        ir = ["irai", "irez", "ira", "irons", "iront"][s.person]
        je = "j'" if s.fr == "je" else s.fr + " "
        out = (f"{s.en} will go {p[0]} on {d[0]}", f"{je}{ir} {p[2]} {d[1]}", f"{s.sw} {s.prefix}taenda {p[3]} {d[2]}")
    else:
        t = RNG.choice([("now", "maintenant", "sasa"), ("today", "aujourd'hui", "leo"), ("", "", "")])
        be = ["suis", "êtes", "est", "sommes", "sont"][s.person]
        out = (f"{s.en} {s.be} {p[1]} {t[0]}", f"{s.fr} {be} {p[2]} {t[1]}", f"{s.sw} {'yu' if s.prefix == 'a' else s.prefix}ko {p[3]} {t[2]}")
    return tuple(sentence(" ".join(x.split())) + "." for x in out)


VEHICLES = [("bus", "le bus", "basi", "li"), ("train", "le train", "treni", "i"), ("plane", "l'avion", "ndege", "i"), ("boat", "le bateau", "meli", "i")]
MOMENTS = [("leaves", "part", "ondoka"), ("arrives", "arrive", "fika")]


def timetable():
    v, m = RNG.choice(VEHICLES), RNG.choice(MOMENTS)
    h = RNG.randrange(1, 12)
    en_part, fr_part, sw_part = ("in the morning", "du matin", "asubuhi") if h >= 6 else ("in the afternoon", "de l'après-midi", "mchana")
    sw_h = (h + 6 - 1) % 12 + 1 if h < 7 else h - 6
    t = RNG.choice([("", "", "")] + [(f"on {d[0]}", d[1], d[2]) for d in DAYS])
    hours = "une heure" if h == 1 else FR_UNITS[h] + " heures"
    out = (f"the {v[0]} {m[0]} at {EN_UNITS[h]} {en_part} {t[0]}", f"{v[1]} {m[1]} {t[1]} à {hours} {fr_part}", f"{v[2]} {v[3]}na{m[2]} {t[2]} saa {sw_number(sw_h)} {sw_part}")
    return tuple(sentence(" ".join(x.split())) + "." for x in out)


def health():
    a = RNG.choice(ACHES)
    if RNG.random() < 0.3:
        n = family_subject(RNG.choice(FAMILY), RNG.choice(OWNERS))
        return (sentence(f"{n.en} has a fever."), sentence(f"{n.fr} a de la fièvre."), sentence(f"{n.sw} ana homa."))
    s = any_subject()
    have = ["ai", "avez", "a", "avons", "ont"][s.person]
    je = "j'" if s.fr == "je" else s.fr + " "
    en_own = {"I": "my", "you": "your", "we": "our", "they": "their"}.get(s.en)
    en = f"{en_own} {a[0]} hurts" if en_own else f"the {a[0]} of {s.en} hurts"
    return tuple(sentence(" ".join(x.split())) + "." for x in (en, f"{je}{have} mal {a[1]}", f"{s.sw} {s.prefix}naumwa {a[2]}"))


def family():
    f, o = RNG.choice(FAMILY), RNG.choice(OWNERS)
    s = family_subject(f, o)
    kind = RNG.randrange(4)
    if kind == 0:
        name = RNG.choice(NAMES)
        return sentence(f"{s.en} is called {name}."), sentence(f"{s.fr} s'appelle {name}."), sentence(f"{s.sw} anaitwa {name}.")
    if kind == 1:
        age = RNG.randrange(2, 100)
        return sentence(f"{s.en} is {en_number(age)} years old."), sentence(f"{s.fr} a {fr_number(age)} ans."), sentence(f"{s.sw} ana miaka {sw_number(age)}.")
    if kind == 2:
        j = RNG.choice(JOBS[:-1])
        return sentence(f"{s.en} is a {j[0]}." if j[0] != "engineer" else f"{s.en} is an engineer."), sentence(f"{s.fr} est {j[1]}."), sentence(f"{s.sw} ni {j[2]}.")
    n = RNG.randrange(2, 11)
    return (sentence(f"{s.en} has {EN_UNITS[n]} children."), sentence(f"{s.fr} a {FR_UNITS[n]} enfants."), sentence(f"{s.sw} ana watoto {sw_count(n, 2)}."))


def having():
    s, n = RNG.choice(PRONOUNS), RNG.choice([t for t in THINGS])
    c = RNG.randrange(2, 11)
    np = counted(n, c)
    je = "j'" if s.fr == "je" else s.fr + " "
    if RNG.random() < 0.3:
        return (sentence(f"{s.en} {'do' if not s.third else 'does'} not have {n.en[1]}."), sentence(("je n'" if s.fr == "je" else s.fr + " n'") + f"{HAVE[s.person]} pas {'d' + chr(39) if elides(n.fr[1]) else 'de '}{n.fr[1]}."),
                sentence(f"{s.negative}na {n.sw[1]}."))
    return sentence(f"{s.en} have {np[0]}."), sentence(f"{je}{HAVE[s.person]} {np[1]}."), sentence(f"{s.prefix}na {np[2]}.")


def myself():
    kind = RNG.randrange(3)
    if kind == 0:
        name = RNG.choice(NAMES)
        return f"My name is {name}.", f"Je m'appelle {name}.", f"Jina langu ni {name}."
    if kind == 1:
        age = RNG.randrange(10, 100)
        return f"I am {en_number(age)} years old.", f"J'ai {fr_number(age)} ans.", f"Nina miaka {sw_number(age)}."
    d, w = RNG.choice(DAYS), RNG.choice([("Today", "Aujourd'hui", "Leo", "is", "c'est", "ni"), ("Tomorrow", "Demain", "Kesho", "is", "c'est", "ni")])
    return f"{w[0]} {w[3]} {d[0]}.", f"{w[1]}, {w[4]} {d[1]}.", f"{w[2]} {w[5]} {d[2]}."


# How many sentences are asked of each part of the grammar.
PARTS = [(actions, 60000), (questions, 9000), (states, 9000), (places_of_things, 5000), (prices, 9000), (travel, 9000), (timetable, 2500), (health, 3000), (family, 6000),
         (having, 3000), (myself, 400)]


def phrases():
    with open(os.path.join(HERE, "phrases.tsv"), encoding="utf-8") as f:
        return [tuple(line.rstrip("\n").split("\t")) for line in f]


def generate():
    """Returns the fixed phrases and the sentences of the grammar."""
    fixed = phrases()
    seen = [set(), set(), set()]
    for t in fixed:
        assert len(t) == 3, t
        for side, text in zip(seen, t):
            assert text not in side, f"twice: {text}"
            side.add(text)
    grammar = []
    for part, n in PARTS:
        for _ in range(n):
            t = part()
            assert all("  " not in x and x == x.strip() for x in t), t
            if any(text in side for side, text in zip(seen, t)):
                continue
            for side, text in zip(seen, t):
                side.add(text)
            grammar.append(t)
    return fixed, grammar


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    fixed, grammar = generate()
    RNG.shuffle(grammar)
    held, train = grammar[:600], grammar[600:]
    for name, rows in (("phrases.tsv", fixed), ("train.tsv", train), ("heldout.tsv", held)):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.writelines("\t".join(r) + "\n" for r in rows)
    print(f"{len(fixed)} phrases, {len(train)} training triples, {len(held)} held out")


if __name__ == "__main__":
    main()
