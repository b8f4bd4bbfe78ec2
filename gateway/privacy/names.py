"""Words that tell a name from another word after "I'm": given names on one side, what people are on the other.

Lists of this project's own, of what is common; everything in them is lower case.
"""

GIVEN = frozenset(
    "aaron adam adrian aisha alan albert alejandro alex alexander alexandra alexis ali alice alicia alina allison "
    "amanda amber amir amy ana andrea andreas andrew angela angie anita ann anna anne anthony antonio arjun arthur ashley "
    "barbara beatriz ben benjamin bernd beth betty bill bob bobby brad brandon brenda brian bruce bryan carl carla carlos "
    "carmen carol caroline catherine charles charlotte cheryl chloe chris christian christina christine christopher cindy "
    "claire claudia connor craig cristina crystal curtis cynthia dan daniel daniela danielle darren dave david dawn deborah "
    "debbie denise dennis derek diana diane diego dieter don donald donna doris dorothy doug douglas dylan eduardo edward "
    "elena eli elizabeth ella ellen emily emma eric erica erik erin ethan eva evan evelyn fatima felix fernando fiona frances "
    "francisco frank fred gabriel gary george gerald giovanni giulia gloria gordon grace greg gregory guillaume hannah hans "
    "harold harry heather hector heidi heike helen helga henry hiroshi howard hugo ian ines ingrid irene isaac isabel isabella "
    "ivan jack jackie jacob jake jamal james jamie jan jane janet janice jason javier jean jeff jeffrey jennifer jenny jeremy "
    "jerry jesse jessica jill jim jimmy jin joan joanna joe joel johan johannes john johnny jon jonathan jordan jorge jose josé "
    "joseph josh joshua joyce juan juanita judith judy julia julian julie jürgen justin karen karl kate katherine kathleen "
    "kathy katie keith kelly ken kenneth kevin kim klaus kyle larry laura lauren leah lena leo leon leonard leslie lily linda "
    "lisa liz logan lori louis louise lucas lucia lucy luis luke lukas lynn manuel marc marcus margaret maria marie marilyn "
    "mario marion marta martha martin mary mateo matt matthew maurice maya megan mehmet mei melanie melissa mia michael micheal "
    "michelle miguel mike mohamed mohammed monica monika muhammad nadia nancy natalie nathan nicholas nick nicole nina noah "
    "nora norma oliver olivia omar oscar otto pablo pam pamela patricia patrick paul paula pedro peggy peter petra phil philip "
    "philippe phillip pierre priya rachel rafael raj rajesh ralph ramon randy raul ravi ray raymond rebecca ricardo richard rick "
    "rita rob robert roberto robin rodney roger ron ronald rosa rosie roy ruben russell ruth ryan sabine sally sam samantha "
    "samuel sandra sandy sanjay sara sarah scott sean sebastian sergio shannon sharon shawn sheila shirley simon sofia sonia "
    "sophia sophie stefan stephanie stephen steve steven stuart sue susan susanne suzanne sven sylvia tamara tammy tanya tara "
    "ted teresa terry theo theresa thomas tiffany tim timothy tina todd tom tommy tony tracy travis tyler uwe valerie vanessa "
    "vera veronica victor victoria vince vincent virginia vivian walter wanda wayne wei wendy werner will william wolfgang "
    "xavier yan yasmin yolanda yuki yusuf yvonne zach zachary zoe".split()
)

NOT_NAMES = frozenset(
    "a an the not no on in at of to for from with without about after before by and or but so if as than then that this these "
    "those it its there here what which who whom whose when where why how is are was were be been am do does did done have has "
    "had can could will would shall should may might must my your his her our their me you him us them i we he she they all "
    "any some none each every both few many much more most less least very really too quite just only even still already also "
    "again now today tomorrow yesterday tonight soon later never always maybe perhaps sure ok okay yes yeah yep nope good great "
    "fine well bad best better awesome amazing nice cool cute crazy funny weird strange perfect wonderful terrible horrible "
    "awful happy sad angry upset mad glad sorry afraid tired sick ready new old young big small tall short long late early "
    "busy free back up down out off over under away near close far open closed right left wrong correct true false real "
    "interested curious excited worried confused lost stuck sold set done going looking thinking hoping trying wondering "
    "planning ready driving coming leaving calling writing asking waiting wanting buying selling shopping searching checking "
    "considering getting having making taking using working living retired single married divorced pregnant disabled "
    "german american french spanish italian english british canadian mexican chinese japanese korean indian dutch polish "
    "turkish russian swedish danish european asian african texan californian local foreign "
    "mechanic teacher nurse doctor engineer student veteran driver owner customer buyer seller dealer manager contractor "
    "parent mother father mom dad grandfather grandmother widow guy girl man woman person people family kid boy fan newbie "
    "nobody somebody someone everyone anybody human robot bot "
    "toyota honda ford chevrolet chevy nissan hyundai kia subaru mazda jeep tesla volkswagen vw bmw audi mercedes lexus acura "
    "dodge ram gmc buick cadillac chrysler porsche volvo mini fiat lincoln infiniti mitsubishi camry corolla civic accord "
    "rav4 crv escape explorer bronco mustang tacoma tundra altima rogue elantra tucson sonata sportage telluride forester "
    "outback crosstrek wrangler gladiator compass model suv sedan truck pickup van minivan coupe hatchback wagon convertible "
    "hybrid electric diesel gas car cars vehicle vehicles auto automatic manual awd fwd rwd 4wd "
    "red blue white black silver gray grey green orange yellow brown gold beige "
    "like love need want hate wish hope think guess know mean see hear feel get got give take make let call text email "
    "first second third last next one two three four five six seven eight nine ten half full part time day week month year "
    "morning afternoon evening night monday tuesday wednesday thursday friday saturday sunday noon home work weekend "
    "january february march april june july august september october november december "
    "scout thanks thank please hello hi hey bye price cost deal offer question issue problem reason list order file "
    "spelled misspelled required needed important private confidential correct missing unknown common hard easy different "
    "because since while until though although unless kind sort type such own same other another else rather pretty "
    "ein eine der die das den dem nicht kein keine auf im in am zu von mit für und oder aber sehr auch nur schon noch hier da "
    "interessiert unsicher zufrieden müde neu alt groß klein gut super toll kunde deutscher student "
    "un una el la los las no en de para con y o pero muy también solo ya aquí allí interesado interesada seguro nuevo cliente "
    "bueno malo grande pequeño estudiante alemán mexicano español "
    "le les des du au aux pas dans sur pour avec et ou mais très aussi ici intéressé intéressée sûr nouveau client étudiant "
    "français trop bien désolé".split()
)
"""What follows "I'm" or "my name is" and is no name."""

STREET_STOP = frozenset(
    "mile miles km minute minutes hour hours day days week weeks month months year years on the of for in to a an and or at "
    "down off my your his her our their all wheel four two front rear door doors test hard long this that with from per mpg "
    "hp inch inches dollar dollars payment payments bucks people kids seats seat speed cylinder cylinders turbo litre liter "
    "gear first second third easy only more less way best any some it is was are percent pm am o'clock left right".split()
)
"""Words between a number and "street", "road" or "drive" that tell that no address is meant."""
