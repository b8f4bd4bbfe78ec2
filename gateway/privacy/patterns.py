"""The forms that personal data is written in. No pattern here can take more than linear time.

Repetitions are bounded, or of signs that cannot be read in two ways; what has a check digit is only recognised here and
proved in `looks`. Everything is matched against text that `detector.folded` has made plain.
"""

import re

_MONTH = (
    r"(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch|z)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?|"
    r"sep(?:t|tember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?|enero|febrero|marzo|abril|mayo|junio|"
    r"julio|agosto|"
    r"septiembre|octubre|noviembre|diciembre|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|"
    r"décembre)\.?"
)
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ]{1,2}\d{1,2}[-/. ]{1,2}(?:19|20)?\d{2}|"
    rf"{_MONTH} {{0,2}}\d{{1,2}}(?:st|nd|rd|th)?(?:,? {{0,2}}(?:19|20)\d{{2}})?|"
    rf"\d{{1,2}}(?:st|nd|rd|th|\.|er|º)? (?:of |de )?{_MONTH}(?:,? {{0,2}}(?:de )?(?:19|20)\d{{2}})?)"
)

EMAIL_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9-]{1,63}){1,6}", re.I)
EMAIL_LOCAL = re.compile(r"[\w.%+'-]")
EMAIL_SPOKEN = re.compile(
    r"\b[a-z0-9](?:[\w.+-]{0,40})(?: (?:dot|punkt|punto|point) [\w-]{1,30})?"
    r" ?(?:\(at\)|\[at\]|\{at\}| at |<at>| arroba )"
    r" ?[a-z0-9-]{1,40} ?(?:\(dot\)|\[dot\]|\{dot\}| dot |<dot>| punto |\.) ?(?:com|net|org|edu|gov|io|co|us|"
    r"de|fr|es|uk|it|info|biz|me)\b",
    re.I,
)

PHONE_INTERNATIONAL = re.compile(r"(?<![\w+])(?:\+|00(?=[1-9]))\d(?:[ ./()-]{0,3}\d){7,14}(?!\d)")
PHONE_US = re.compile(
    r"(?<![\w$.,+-])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?[ .-]?|[2-9]\d{2}[ .-]|[2-9]\d{2} - )"
    r"[2-9]\d{2}(?:[ .-]| - )\d{4}(?![\d-])"
)
PHONE_PLAIN = re.compile(r"(?<![\w$.,#-])1?[2-9]\d{2}[2-9]\d{6}(?![\w-]|[.,]\d)")
PHONE_NATIONAL = re.compile(
    r"(?<![\w$.,/:-])(?!\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4})\(?0[1-9]\d{0,4}\)?(?:[ ./-]{0,3}\d){6,10}(?![\d:])"
)
PHONE_LOCAL = re.compile(r"(?<![\w$.,-])[2-9]\d{2}[ .-]?\d{4}(?![\d-])")
PHONE_WORDS = re.compile(
    r"\b(?:phone|cell|mobile|number|call|text|reach|tel|telefon|handy|fax|whatsapp|ring|teléfono|numéro|nummer)\b", re.I
)
PHONE_SPOKEN = re.compile(r"\b(?:(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b[ ,.-]{0,3}){7,15}", re.I)

CARD = re.compile(r"(?<![\d.,-])[2-6]\d(?:[ -]?\d){11,17}(?![\d-])")
CARD_CODE = re.compile(r"\b(?:cvv2?|cvc2?|cvn)\b[^\d]{0,12}\d{3,4}\b", re.I)

IBAN_START = re.compile(r"(?<![a-z0-9])[a-z]{2}\d{2}(?=[ -]?[a-z0-9]{2})", re.I)

SSN = re.compile(r"(?<![\w-])(\d{3})([- .]| - )(\d{2})\2(\d{4})(?![\w-])")
SSN_NAMED = re.compile(
    r"\b(?:ssn|ss#|social(?: security)?(?: (?:number|no\.?|num|"
    r"#))?)\b[^\d]{0,24}(\d{3})[ .-]?(\d{2})[ .-]?(\d{4})(?!\d)",
    re.I,
)
SSN_LAST = re.compile(
    r"\blast (?:4|four)(?: digits)? (?:of|on) my (?:ssn|social)[^\d]{0,24}\d{4}\b|"
    r"\bmy (?:ssn|social(?: security number)?) ends (?:in|with) \d{4}\b",
    re.I,
)

_LICENCE_NUMBER = r"(?=[a-z0-9 -]{0,24}\d[a-z0-9 -]{0,3}\d)[a-z]{0,5}[ -]?\d[a-z0-9]{0,18}(?:[ -][a-z0-9]{1,6}){0,4}"
LICENCE_NAMED = re.compile(
    r"\b(?:(?:driver'?s?'?s?|drivers|driving) ?(?:licen[cs]e|license)|d/?l|licen[cs]e (?:number|no|num|#)|"
    r"licen[cs]e is|"
    r"licen[cs]e id|licen[cs]e(?=[:#])|führerschein(?:nummer)?|licencia de conducir|permis de conduire|"
    r"permiso de conducir|learner'?s permit)"
    r"(?! ?plate)\b[^\d\n]{0,3}(?: ?(?:number|no\.?|num|nr\.?|id|is|it's|ist|es|est|:|#|=|-|my|state|"
    r"from [a-z]{2}|[a-z]{2}:?|\([a-z]{2,12}\)|numéro|número)){0,4}"
    rf" {{0,2}}[#:]? ?({_LICENCE_NUMBER})(?![\w$])",
    re.I,
)
LICENCE_FORM = re.compile(
    r"(?<![\w-])(?:[a-z]\d{3}-\d{3}-\d{2}-\d{3}-\d|[a-z]\d{3}-\d{4}-\d{4}-\d{2}|[a-z]\d{3}-\d{4}-\d{4}|"
    r"[a-z]{5}\d{6}[a-z]{2}\d[a-z]{2}|[a-z]\d{4}-\d{5}-\d{5}|[a-z]\d{2}-\d{2}-\d{4}|[a-z]{3}\d{9})(?![\w-])",
    re.I,
)

VIN = re.compile(r"(?<![a-z0-9])[a-hj-npr-z0-9]{17}(?![a-z0-9])", re.I)
VIN_SPACED = re.compile(
    r"\bvin\b[^a-z0-9\n]{0,3}(?:(?:number|no|is|it's|#|"
    r":) ?[:#]? ?){0,2}([a-hj-npr-z0-9](?:[ -]?[a-hj-npr-z0-9]){16})(?![a-z0-9])",
    re.I,
)
VIN_NAMED = re.compile(r"\b(?:vin|vehicle identification|fahrgestellnummer|chassis number|fin)\b", re.I)

_PLAIN_SUFFIX = r"street|str|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|terrace|ter|parkway|pkwy|highway|hwy"
_OTHER_SUFFIX = r"drive|dr|court|ct|circle|cir|way|place|pl|trail|trl|square|sq|loop|run|ridge|row|path|point|pike"
STREET = re.compile(
    r"(?<![\w$.,#/-])\d{1,6}(?:[a-z]|-\d{1,4}| ?1/2)? ((?:[nsew]{1,2}\.? |(?:north|south|east|west)(?:east|west)? )?"
    rf"(?:[\w'.-]{{1,20}} ){{1,3}}?)(?:({_PLAIN_SUFFIX})|({_OTHER_SUFFIX}))\b(?! ?(?:price|legal|car|tires?|"
    rf"noise|trips?|test|worthy|side))\.?",
    re.I,
)
STREET_NUMBERED = re.compile(
    rf"(?<![\w$.,#/-])\d{{1,6}} (?:[nsew]{{1,2}}\.? |(?:north|south|east|west) )?\d{{1,3}}(?:st|nd|rd|"
    rf"th) (?:{_PLAIN_SUFFIX}|{_OTHER_SUFFIX})\b",
    re.I,
)
PO_BOX = re.compile(r"\bp\.? ?o\.? ?box #?\d{1,6}\b", re.I)
STREET_ELSEWHERE = re.compile(
    r"\b[\wäöüß.-]{2,24}(?:straße|strasse|str\.|weg|allee|gasse|platz|damm|ufer|ring) \d{1,4} ?[a-z]?\b|"
    r"\b\d{1,4}(?: ?bis| ?ter)?,? (?:(?:rue|avenue|av\.|boulevard|bd|chemin|allée) (?:de |du |des |la |le |"
    r"les |l'|d'){0,2}|"
    r"(?:impasse|place|quai|cours) (?:de |du |des |la |le |les |l'|d'){1,2})[\w'-]{2,24}|"
    r"\b(?:calle|avenida|avda\.?|plaza|paseo|camino|carretera|rua|via|viale|piazza|"
    r"corso) (?:[\w'.-]{1,16} ){0,3}[\w'.-]{2,16},? (?:n[ºo°.]{0,2} ?|número |nr\.? ?)?\d{1,5}\b|"
    r"\b(?:wohne|wohnhaft|adresse)[^.\n]{0,30}?[\wäöüß-]{3,24} \d{1,4}[a-z]?,? \d{5}\b",
    re.I,
)
ADDRESS_NAMED = re.compile(
    r"\b(?:i live (?:at|on|in)|i'm at|we live (?:at|on)|my (?:home |mailing |street |billing )?address(?: is|:)?|"
    r"(?:deliver|ship|mail|send) (?:it |them |the \w{1,12} )?to|come (?:by|to) my (?:house|place|home) at|"
    r"pick (?:me|it) up at) "
    r"(?:number |no\.? )?\d{1,6}[a-z]? (?!miles|mi\b|km|minutes|min\b|hours|o'clock|am\b|pm\b|dollars|"
    r"%)[a-z][\w'.-]{2,20}",
    re.I,
)
APARTMENT = re.compile(
    r"\b\d{1,6} [\w'.-]{2,20}(?: [\w'.-]{2,20}){0,2},? (?:apt|apartment|unit|suite|ste)\.? ?#?\d{1,5}[a-z]?\b", re.I
)

BORN = re.compile(
    r"\b(?<!happy )(?:d\.?o\.?b\.?|date of birth|birth ?date|birth ?day|b-day|born|geboren|geburtsdatum|"
    r"geburtstag|née?|"
    r"naissance|nac[ií]|"
    r"nacido|nacida|nacimiento|cumpleaños|nato|nata|nascido|nascida)(?!\w)"
    rf"[^\d\n.!?]{{0,22}}?{_DATE}(?![\d])",
    re.I,
)
BORN_AFTER = re.compile(
    rf"(?<!\d){_DATE}[ ,]{{1,3}}(?:is|was|that's|=) (?:my|the|her|his) (?:date of birth|birth ?date|"
    rf"birth ?day|dob|d\.o\.b)",
    re.I,
)

NAME_STRONG = re.compile(
    r"\b(?:my (?:full |first |last |legal )?name(?: is|'s|:)|(?:the )?name's|name is|(?:customer |"
    r"full )?name:|i am called|i'm called|i go by|"
    r"ich hei(?:ß|ss)e|mein name ist|me llamo|mi nombre es|je m'appelle|mon nom est|mi chiamo|il mio nome è|"
    r"meu nome é|me chamo|"
    r"nazywam się|mam na imię|ik heet|mijn naam is|jag heter|jeg hedder|jeg heter|"
    r"menya zovut|меня зовут)"
    r"[ :]{1,2}(?:(?:mr|mrs|ms|dr|herr|frau|sr|sra)\.? )?([^\W\d_][\w'.-]{0,20})((?: [^\W\d_][\w'.-]{0,20}){0,2})",
    re.I,
)
NAME_WEAK = re.compile(
    r"\b(?:i'?m|i am|this is|it'?s|it is|ich bin|hier ist|soy|je suis|c'est|sono|eu sou|here is|hier spricht|call me)"
    r" (?:(?:mr|mrs|ms|dr|herr|frau|sr|sra|señor|"
    r"señora)\.? )?([^\W\d_][\w'-]{1,20})((?: [^\W\d_][\w'.-]{0,20})?)((?: [^\W\d_][\w'.-]{0,20})?)",
    re.I,
)
NAME_HERE = re.compile(
    r"(?:^|[.!?,] ?|\b(?:hi|hello|hey),? )([^\W\d_][\w'-]{1,20})( [^\W\d_][\w'-]{1,20})? (?:here|speaking|calling)\b",
    re.I,
)
ADDRESSED = re.compile(r"[\w' ]{1,12}? (?:(?:mr|mrs|ms|dr|herr|frau|sr|sra)\.? |me [A-Z])", re.I)
CALLING = re.compile(r"^[ ,]{0,2}(?:calling|speaking|here|again|from|and i|und ich)\b", re.I)

SECRET_NAMED = re.compile(
    r"\b(?:password|passwort|kennwort|contraseña|mot de passe|pass ?code|passwd|pwd|pass ?phrase|pin(?: code| number)?|"
    r"access code|api[ _-]?key|secret(?: key)?|access[ _-]?token|auth[ _-]?token|security answer)"
    r"(?: (?:for|to|of|is|was|ist|es|est|on|my|the|account|portal|login|app|website|site)){0,5} ?(?::|=|is|"
    r"ist|es|est) ?[\"'`]?([^\s\"'`,]{3,80})",
    re.I,
)
PIN_BARE = re.compile(r"\bpin(?: code| number)? #?(\d{4,8})\b", re.I)
KEYS = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{16,200}|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,64}|"
    r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|AIza[\w-]{30,40}|xox[abprs]-[\w-]{10,200}|[sprk]k_(?:live|test)_\w{16,128}|"
    r"eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{4,1000}|hf_[A-Za-z0-9]{20,64}|tskey-[\w-]{10,100})(?![\w-])"
)
KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")
BEARER = re.compile(r"\bbearer [\w.~+/-]{16,500}=*", re.I)
