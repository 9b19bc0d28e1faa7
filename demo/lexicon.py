"""Words of the demo corpus in English, French and Swahili, with their grammar.

Swahili nouns carry their class: subject and adjective prefixes, possessives,
demonstratives and numerals agree with it. French nouns carry their gender.
"""

# Swahili agreement, by noun class. 1/2 people, 3/4 m-mi, 5/6 ji-ma, 7/8 ki-vi, 9/10 n.
POSSESSIVE = {1: "w", 2: "w", 3: "w", 4: "y", 5: "l", 6: "y", 7: "ch", 8: "vy", 9: "y", 10: "z"}
THIS = {1: "huyu", 2: "hawa", 3: "huu", 4: "hii", 5: "hili", 6: "haya", 7: "hiki", 8: "hivi", 9: "hii", 10: "hizi"}
THAT = {1: "yule", 2: "wale", 3: "ule", 4: "ile", 5: "lile", 6: "yale", 7: "kile", 8: "vile", 9: "ile", 10: "zile"}
SUBJECT = {1: "a", 2: "wa", 3: "u", 4: "i", 5: "li", 6: "ya", 7: "ki", 8: "vi", 9: "i", 10: "zi"}
LOCATIVE = {1: "yuko", 2: "wako", 3: "uko", 4: "iko", 5: "liko", 6: "yako", 7: "kiko", 8: "viko", 9: "iko", 10: "ziko"}
NUMERAL_PREFIX = {2: "wa", 4: "mi", 6: "ma", 8: "vi", 10: ""}


class Noun:
    def __init__(self, en, en_pl, fr, fr_pl, gender, sw, sw_pl, cls):
        self.en, self.fr, self.gender, self.sw = (en, en_pl), (fr, fr_pl), gender, (sw, sw_pl)
        self.cls = (cls, cls + 1)

    def __repr__(self):
        return self.en[0]


def nouns(text, cls):
    """One noun a line: en, en plural, fr, fr plural, gender, sw, sw plural."""
    out = []
    for line in text.strip().splitlines():
        f = [x.strip() for x in line.split("|")]
        out.append(Noun(*f, cls))
    return out


PEOPLE = nouns("""
teacher|teachers|professeur|professeurs|m|mwalimu|walimu
student|students|étudiant|étudiants|m|mwanafunzi|wanafunzi
child|children|enfant|enfants|m|mtoto|watoto
farmer|farmers|agriculteur|agriculteurs|m|mkulima|wakulima
guest|guests|invité|invités|m|mgeni|wageni
patient|patients|malade|malades|m|mgonjwa|wagonjwa
neighbour|neighbours|voisin|voisins|m|jirani|majirani
driver|drivers|chauffeur|chauffeurs|m|dereva|madereva
doctor|doctors|médecin|médecins|m|daktari|madaktari
nurse|nurses|infirmière|infirmières|f|muuguzi|wauguzi
friend|friends|ami|amis|m|rafiki|marafiki
worker|workers|ouvrier|ouvriers|m|mfanyakazi|wafanyakazi
""", 1)

# Relatives are always somebody's: mama yangu, not *mama wangu.
FAMILY = nouns("""
mother|mothers|mère|mères|f|mama|mama
father|fathers|père|pères|m|baba|baba
brother|brothers|frère|frères|m|kaka|kaka
sister|sisters|sœur|sœurs|f|dada|dada
grandmother|grandmothers|grand-mère|grands-mères|f|bibi|bibi
grandfather|grandfathers|grand-père|grands-pères|m|babu|babu
""", 9)

THINGS = nouns("""
book|books|livre|livres|m|kitabu|vitabu
chair|chairs|chaise|chaises|f|kiti|viti
bed|beds|lit|lits|m|kitanda|vitanda
shoe|shoes|chaussure|chaussures|f|kiatu|viatu
knife|knives|couteau|couteaux|m|kisu|visu
cup|cups|tasse|tasses|f|kikombe|vikombe
basket|baskets|panier|paniers|m|kikapu|vikapu
""", 7) + nouns("""
loaf of bread|loaves of bread|pain|pains|m|mkate|mikate
bag|bags|sac|sacs|m|mfuko|mifuko
tree|trees|arbre|arbres|m|mti|miti
door|doors|porte|portes|f|mlango|milango
""", 3) + nouns("""
car|cars|voiture|voitures|f|gari|magari
orange|oranges|orange|oranges|f|chungwa|machungwa
mango|mangoes|mangue|mangues|f|embe|maembe
egg|eggs|œuf|œufs|m|yai|mayai
window|windows|fenêtre|fenêtres|f|dirisha|madirisha
flower|flowers|fleur|fleurs|f|ua|maua
suitcase|suitcases|valise|valises|f|sanduku|masanduku
""", 5) + nouns("""
house|houses|maison|maisons|f|nyumba|nyumba
table|tables|table|tables|f|meza|meza
banana|bananas|banane|bananes|f|ndizi|ndizi
chicken|chickens|poulet|poulets|m|kuku|kuku
shirt|shirts|chemise|chemises|f|shati|mashati
letter|letters|lettre|lettres|f|barua|barua
bicycle|bicycles|vélo|vélos|m|baiskeli|baiskeli
phone|phones|téléphone|téléphones|m|simu|simu
newspaper|newspapers|journal|journaux|m|gazeti|magazeti
ticket|tickets|billet|billets|m|tiketi|tiketi
lamp|lamps|lampe|lampes|f|taa|taa
""", 9)
for n in THINGS:  # two loans of class 5/6 in the list above
    if n.sw[0] in ("shati", "gazeti"):
        n.cls = (5, 6)
    if n.sw[0] == "kuku":  # an animal: it agrees as a person does
        n.cls = (1, 2)

# What is eaten and drunk: no plural.
FOOD = [  # en, fr with its partitive, fr with its article, sw, class
    ("rice", "du riz", "le riz", "wali", 3), ("bread", "du pain", "le pain", "mkate", 3), ("fish", "du poisson", "le poisson", "samaki", 9),
    ("meat", "de la viande", "la viande", "nyama", 9), ("fruit", "des fruits", "les fruits", "matunda", 6), ("beans", "des haricots", "les haricots", "maharagwe", 6),
    ("vegetables", "des légumes", "les légumes", "mboga", 10), ("soup", "de la soupe", "la soupe", "supu", 9)]
DRINKS = [
    ("water", "de l'eau", "l'eau", "maji", 6), ("tea", "du thé", "le thé", "chai", 9), ("milk", "du lait", "le lait", "maziwa", 6),
    ("coffee", "du café", "le café", "kahawa", 9), ("juice", "du jus", "le jus", "juisi", 9)]


class Adjective:
    """fr: masculine, feminine, and their plurals; sw: forms by class 1..10."""

    def __init__(self, en, fr, sw):
        self.en, self.sw = en, sw
        m, f, mp, fp = fr
        self.fr = {("m", 0): m, ("f", 0): f, ("m", 1): mp, ("f", 1): fp}


def regular(stem, n, five=None):
    """Forms of a Swahili adjective with a consonant stem."""
    return dict(zip(range(1, 11), ["m" + stem, "wa" + stem, "m" + stem, "mi" + stem, five or stem, "ma" + stem, "ki" + stem, "vi" + stem, n, n]))


def same(word):
    return {c: word for c in range(1, 11)}


ADJECTIVES = [
    Adjective("good", ("bon", "bonne", "bons", "bonnes"), regular("zuri", "nzuri")),
    Adjective("big", ("grand", "grande", "grands", "grandes"), regular("kubwa", "kubwa")),
    Adjective("small", ("petit", "petite", "petits", "petites"), regular("dogo", "ndogo")),
    Adjective("new", ("nouveau", "nouvelle", "nouveaux", "nouvelles"), regular("pya", "mpya", "jipya")),
    Adjective("bad", ("mauvais", "mauvaise", "mauvais", "mauvaises"), regular("baya", "mbaya")),
    Adjective("long", ("long", "longue", "longs", "longues"), regular("refu", "ndefu")),
    Adjective("short", ("court", "courte", "courts", "courtes"), regular("fupi", "fupi")),
    Adjective("clean", ("propre", "propre", "propres", "propres"), same("safi")),
    Adjective("expensive", ("cher", "chère", "chers", "chères"), same("ghali")),
    Adjective("important", ("important", "importante", "importants", "importantes"), same("muhimu")),
    Adjective("heavy", ("lourd", "lourde", "lourds", "lourdes"), regular("zito", "nzito")),
    Adjective("light", ("léger", "légère", "légers", "légères"), regular("epesi", "nyepesi")),
]
ADJECTIVES[-1].sw = dict(zip(range(1, 11), ["mwepesi", "wepesi", "mwepesi", "myepesi", "jepesi", "mepesi", "chepesi", "vyepesi", "nyepesi", "nyepesi"]))
PERSONAL = [
    Adjective("tall", ("grand", "grande", "grands", "grandes"), regular("refu", "ndefu")),
    Adjective("happy", ("heureux", "heureuse", "heureux", "heureuses"), None),
    Adjective("tired", ("fatigué", "fatiguée", "fatigués", "fatiguées"), None),
    Adjective("sick", ("malade", "malade", "malades", "malades"), regular("gonjwa", "mgonjwa")),
]

# Verbs: en base, en third person, en past, en -ing, fr present (je vous il nous ils), fr participle, fr future stem, sw stem.
class Verb:
    def __init__(self, line):
        f = [x.strip() for x in line.split("|")]
        self.en, self.en3, self.past, self.ing = f[0:4]
        self.fr = f[4].split(",")
        self.participle, self.future, self.sw = f[5:8]
        # Stems of Arabic origin keep their last vowel in the negative.
        self.sw_neg = self.sw[:-1] + "i" if self.sw.endswith("a") else self.sw
        self.monosyllabic = self.sw in ("la", "nywa")


VERBS = {v.en: v for v in map(Verb, """
buy|buys|bought|buying|achète,achetez,achète,achetons,achètent|acheté|achèter|nunua
sell|sells|sold|selling|vends,vendez,vend,vendons,vendent|vendu|vendr|uza
see|sees|saw|seeing|vois,voyez,voit,voyons,voient|vu|verr|ona
read|reads|read|reading|lis,lisez,lit,lisons,lisent|lu|lir|soma
bring|brings|brought|bringing|apporte,apportez,apporte,apportons,apportent|apporté|apporter|leta
look for|looks for|looked for|looking for|cherche,cherchez,cherche,cherchons,cherchent|cherché|chercher|tafuta
cook|cooks|cooked|cooking|prépare,préparez,prépare,préparons,préparent|préparé|préparer|pika
eat|eats|ate|eating|mange,mangez,mange,mangeons,mangent|mangé|manger|la
drink|drinks|drank|drinking|bois,buvez,boit,buvons,boivent|bu|boir|nywa
want|wants|wanted|wanting|veux,voulez,veut,voulons,veulent|voulu|voudr|taka
like|likes|liked|liking|aime,aimez,aime,aimons,aiment|aimé|aimer|penda
repair|repairs|repaired|repairing|répare,réparez,répare,réparons,réparent|réparé|réparer|tengeneza
wash|washes|washed|washing|lave,lavez,lave,lavons,lavent|lavé|laver|osha
""".strip().splitlines())}

# Subjects: en, en "be", third person?, fr, fr person (0 je 1 vous 2 il 3 nous 4 ils), sw pronoun word, sw prefix, sw negative prefix.
class Subject:
    def __init__(self, en, be, was, third, fr, person, sw, prefix, negative, feminine=False):
        self.en, self.be, self.was, self.third = en, be, was, third
        self.fr, self.person, self.sw, self.prefix, self.negative = fr, person, sw, prefix, negative


PRONOUNS = [
    Subject("I", "am", "was", False, "je", 0, "", "ni", "si"),
    Subject("you", "are", "were", False, "vous", 1, "", "u", "hu"),
    Subject("we", "are", "were", False, "nous", 3, "", "tu", "hatu"),
    Subject("they", "are", "were", False, "ils", 4, "", "wa", "hawa"),
]


def noun_subject(n, number):
    fr = ("les " + n.fr[1]) if number else article(n.fr[0], n.gender)
    return Subject("the " + n.en[number], "are" if number else "is", "were" if number else "was", not number, fr, 4 if number else 2,
                   n.sw[number], "wa" if number else "a", "hawa" if number else "ha")


OWNERS = [  # en, fr m/f/vowel/plural, sw stem
    ("my", ("mon", "ma", "mes"), "angu"), ("your", ("votre", "votre", "vos"), "ako"), ("our", ("notre", "notre", "nos"), "etu"),
    ("their", ("leur", "leur", "leurs"), "ao")]


def family_subject(n, owner):
    return Subject(f"{owner[0]} {n.en[0]}", "is", "was", True, f"{possessive(n.fr[0], n.gender, owner, 0)} {n.fr[0]}", 2,
                   f"{n.sw[0]} y{owner[2]}", "a", "ha")


VOWELS = "aeiouyéèêœâîôûh"


def elides(word):
    return word[0].lower() in VOWELS


def article(word, gender):
    return "l'" + word if elides(word) else ("le " if gender == "m" else "la ") + word


def possessive(word, gender, owner, number):
    m, f, plural = owner[1]
    if number:
        return plural
    return m if gender == "m" or elides(word) else f


def this(n, number):
    if number:
        return "ces"
    if n.gender == "f":
        return "cette"
    return "cet" if elides(n.fr[0]) else "ce"


PLACES = [  # en with its preposition "to", en "at", fr, sw
    ("to the market", "at the market", "au marché", "sokoni"), ("to school", "at school", "à l'école", "shuleni"), ("home", "at home", "à la maison", "nyumbani"),
    ("to the hospital", "at the hospital", "à l'hôpital", "hospitalini"), ("to church", "at church", "à l'église", "kanisani"),
    ("to the bank", "at the bank", "à la banque", "benki"), ("to the village", "in the village", "au village", "kijijini"),
    ("to town", "in town", "en ville", "mjini"), ("to the office", "at the office", "au bureau", "ofisini"), ("to the hotel", "at the hotel", "à l'hôtel", "hotelini"),
    ("to the station", "at the station", "à la gare", "stesheni"), ("to the airport", "at the airport", "à l'aéroport", "uwanja wa ndege"),
    ("to the shop", "at the shop", "au magasin", "dukani"), ("to Nairobi", "in Nairobi", "à Nairobi", "Nairobi"), ("to Paris", "in Paris", "à Paris", "Paris"),
    ("to Dar es Salaam", "in Dar es Salaam", "à Dar es Salaam", "Dar es Salaam")]

DAYS = [("Monday", "lundi", "Jumatatu"), ("Tuesday", "mardi", "Jumanne"), ("Wednesday", "mercredi", "Jumatano"), ("Thursday", "jeudi", "Alhamisi"),
        ("Friday", "vendredi", "Ijumaa"), ("Saturday", "samedi", "Jumamosi"), ("Sunday", "dimanche", "Jumapili")]

NAMES = ["Amina", "Juma", "Marie", "Paul", "Fatuma", "Peter", "Grace", "Hassan", "Neema", "Joseph", "Aisha", "Samuel"]

JOBS = [("farmer", "agriculteur", "mkulima"), ("teacher", "professeur", "mwalimu"), ("doctor", "médecin", "daktari"), ("driver", "chauffeur", "dereva"),
        ("student", "étudiant", "mwanafunzi"), ("engineer", "ingénieur", "mhandisi"), ("soldier", "soldat", "askari"), ("fisherman", "pêcheur", "mvuvi"),
        ("cook", "cuisinier", "mpishi"), ("tailor", "tailleur", "fundi wa nguo")]

ACHES = [("head", "à la tête", "kichwa"), ("stomach", "au ventre", "tumbo"), ("leg", "à la jambe", "mguu"), ("back", "au dos", "mgongo"), ("tooth", "aux dents", "jino"),
         ("hand", "à la main", "mkono"), ("ear", "à l'oreille", "sikio"), ("chest", "à la poitrine", "kifua")]
