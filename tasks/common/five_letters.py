"""Common English words of five letters, chosen for this project."""

_TEXT = """
about above actor adapt admit adopt adult after again agent agree ahead alarm album alert alike
alive allow alone along amber ample angel anger angle ankle apple apply apron arena argue arise
arrow aside asset attic audio avoid awake award bacon badge baker basic basin basis batch beach
beard beast begin being below bench berry birth black blade blame blank blast blaze bleak blend
bless blind block blood bloom board boast bonus boost booth bound brain brake brand brass brave
bread break brick bride brief bring brisk broad broom brown brush build bunch cabin cable camel
canal candy canoe cargo carry carve catch cause cedar chain chair chalk charm chart chase cheap
check cheek cheer chess chest chief child choir chord civic claim clash class clean clear clerk
cliff climb clock cloth cloud coach coast cocoa coral couch could count court cover craft crane
crate crawl cream creek crest crime crisp cross crowd crown crust curve cycle daily dairy dance
delay depth diary digit diner ditch diver dozen draft drama dream dress drift drill drink drive
eager eagle early earth easel eight elbow elder empty enemy enjoy enter entry equal error essay
event every exact exist extra fable faint fairy faith false fancy feast fence ferry fever fiber
field fifth fifty fight final flame flash fleet flint float flock flood floor flour fluid flute
focus force forge forty found frame fresh front frost fruit fully giant given glass gleam globe
glove grace grade grain grand grant grape graph grasp grass green greet grill group grove guard
guess guest guide habit happy harsh heart heavy hedge hello hobby honey honor horse hotel house
human humor image index inner input ivory jelly jewel joint judge juice knife knock label labor
large laser latch later laugh layer lemon level light limit linen liver local logic loose lucky
lunch magic major maple march marry match maybe mayor medal melon mercy merge merit metal meter
might minor model money month moral motor mount mouse mouth movie music naval nerve never night
noble noise north novel nurse ocean offer often olive onion opera orbit order organ other otter
outer owner paint panel paper party paste patch pause peace pearl pedal phase phone photo piano
piece pilot pitch place plain plane plant plate plaza point polar porch pound power press price
pride prime print prize proof proud pupil queen quick quiet quilt quite radar radio raise ranch
range rapid ratio reach react ready realm rebel reply rider ridge right river roast robin robot
rocky rough round route royal ruler rural salad sandy sauce scale scarf scene scent scope score
scout seven shade shake shape share sharp sheep sheet shelf shell shift shine shirt shock shore
short shout sight silly since sixth skill slate sleep slice slide slope small smart smile smoke
snack snake solar solid solve sound south space spade spare spark speak speed spell spend spice
spoon sport spray squad stack staff stage stain stair stake stamp stand start state steam steel
steep stick still stone stool store storm story stove straw strip study style sugar sunny super
sweet swift swing sword table taste teach thank theme thick thing think third thorn three throw
thumb tiger tight timer title toast today topic torch total touch tower trace track trade trail
train treat trend trial tribe trick truck truly trunk trust truth tulip twice twist uncle under
union unite until upper upset urban usual valid value video visit vital vivid vocal voice voter
wagon waste watch water whale wheat wheel where which while white whole width witch woman world
worry worth wound wrist write young youth zebra
"""
WORDS = tuple(_TEXT.split())
