"""The words of the trade: what customers, models and other dealers' files call the things that we list under one name.

Data only, plus the look-up. Keys are as `spelling.key` makes them; a name is its own synonym. What is not here is no
error: a make that we have never heard of is searched for as it was written.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.dealership.spelling import key

Table = Mapping[str, str]


def _table(names: Mapping[str, str]) -> Table:
    """From each name and its other words, separated by commas, to the look-up of names by key."""
    words = ((word, name) for name, others in names.items() for word in (name, *others.split(",")))
    return MappingProxyType({key(word): name for word, name in words if key(word)})


MAKES: Final = _table(
    {
        "Chevrolet": "chevy,chev,chevvy",
        "Volkswagen": "vw,volkswagon",
        "Mercedes-Benz": "mercedes,benz,merc",
        "BMW": "beamer,beemer,bimmer",
        "Toyota": "toyo",
        "Hyundai": "hundai,hyundia,hyandai",
        "Subaru": "subie",
        "Mitsubishi": "mitsu",
        "Cadillac": "caddy,caddie",
        "Land Rover": "landrover",
        "Alfa Romeo": "alfa",
    }
)
BODY_STYLES: Final = _table(
    {
        "SUV": "suvs,crossover,sport utility,sport utility vehicle,cuv,4 door suv",
        "sedan": "saloon,4 door sedan,4dr car",
        "truck": "pickup,pick up,pickup truck,pick up truck,crew cab,crew cab pickup,extended cab,extended cab pickup,"
        "regular cab,lorry,ute",
        "coupe": "coupé,2 door,two door,sports car,2dr car",
        "hatchback": "hatch,5 door",
        "minivan": "mini van,people carrier,mpv,passenger van",
        "wagon": "estate,station wagon",
        "convertible": "cabrio,cabriolet,roadster,drop top,soft top",
        "van": "cargo van,panel van,work van",
    }
)
FUEL_TYPES: Final = _table(
    {
        "gas": "gasoline,petrol,gasoline fuel,regular unleaded,unleaded,gas engine,flex fuel,flexfuel",
        "hybrid": "hev,gas electric,gas electric hybrid,gas hybrid,gasoline hybrid,full hybrid",
        "plug-in hybrid": "phev,plug in,plugin,plugin hybrid,plug in electric gas",
        "electric": "ev,bev,battery electric,electric fuel system,all electric,fully electric,zero emission",
        "diesel": "diesel fuel,tdi",
    }
)
CONDITIONS: Final = _table(
    {
        "new": "brand new",
        "used": "pre owned,preowned,second hand,secondhand",
        "certified": "cpo,certified pre owned,certified preowned,certified used",
    }
)
TRANSMISSIONS: Final = _table(
    {
        "automatic": "auto,dual clutch,dct,single speed,1 speed automatic,6 speed automatic,8 speed automatic,"
        "9 speed automatic,10 speed automatic,automatic transmission",
        "manual": "stick,stick shift,5 speed manual,6 speed manual,manual transmission,three pedals",
        "CVT": "cvt automatic,continuously variable,ecvt,e cvt,variable",
    }
)
DRIVETRAINS: Final = _table(
    {
        "AWD": "all wheel drive,all wheel,allwheel",
        "4WD": "4x4,four wheel drive,4 wheel drive,four by four",
        "FWD": "front wheel drive,front wheel",
        "RWD": "rear wheel drive,rear wheel",
    }
)
COLORS: Final = _table(
    {
        "white": "ivory,pearl,cream",
        "black": "ebony,onyx,jet black",
        "silver": "platinum",
        "gray": "grey,charcoal,graphite,gunmetal,slate",
        "blue": "navy,azure,sapphire",
        "red": "maroon,burgundy,crimson,ruby",
        "green": "olive,emerald",
        "orange": "copper",
        "brown": "bronze,mocha",
        "beige": "tan,sand,champagne",
        "yellow": "",
        "gold": "",
        "purple": "violet",
    }
)
FEATURES: Final = _table(
    {
        "sunroof": "moonroof,panoramic roof,glass roof,sun roof,moon roof",
        "Apple CarPlay": "carplay,car play",
        "Android Auto": "android",
        "heated seats": "seat heaters,heated front seats,seat warmers",
        "leather seats": "leather,leather interior",
        "navigation": "gps,nav,sat nav,navigation system",
        "backup camera": "rear camera,reverse camera,rearview camera,reversing camera",
        "blind-spot monitor": "blind spot,blind spot monitoring,blind spot warning",
        "adaptive cruise control": "adaptive cruise,radar cruise",
        "third-row seating": "third row,3rd row,3 rows,three rows,third row seats",
        "tow package": "towing package,tow hitch,trailer hitch,towing,hitch",
        "remote start": "remote starter",
        "wireless charging": "wireless charger,phone charger",
        "power liftgate": "power tailgate,hands free liftgate",
        "roof rails": "roof rack",
    }
)

FEATURE_TABLES: Final = (FEATURES, DRIVETRAINS, TRANSMISSIONS)
"""Where the words for a feature stand: "all-wheel drive" is one to a customer."""

INCLUDES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"van": ("van", "minivan"), "hybrid": ("hybrid", "plug-in hybrid"), "used": ("used", "certified")}
)
"""Who asks for the first means the others too. Anything else means itself only."""


def canonical(table: Table, text: str) -> str | None:
    """Our name of what `text` names, be it in the plural; None if the table has no such word."""
    word = key(text)
    return table.get(word) or table.get(word.removesuffix("s")) or table.get(word.removesuffix("es"))


def color_family(color: str) -> str | None:
    """The plain colour in a paint's name: "Magnetic Gray Metallic" is gray. The last one counts: "silver blue"."""
    families = [family for word in key(color).split() if (family := COLORS.get(word))]
    return families[-1] if families else None
