"""Common English words, for tasks about text: small letters, no word twice; and first names of people."""

_TEXT = """
able acid acorn actor adult agent alarm album alert amber anchor angle ankle apple apron arrow artist
atlas autumn badge baker balcony banana banner barrel basket beacon beard bench berry blade blanket
blossom boat bonus border bottle boulder branch bread breeze brick bridge broom bucket button cabin
cactus camel candle canoe canvas captain carpet carrot castle cattle cave cellar chair chalk charm
cherry chimney circle city clay cliff clock cloud clover coast cobweb coffee coin comet copper coral
cotton couch cousin cradle crane crown crystal curtain dagger dancer desert diamond dinner dolphin
donkey drawer dream driver drum duck dust eagle earth echo elbow ember engine entry error event fabric
falcon family farmer feather fence fern fiddle field finger flame flute forest fossil fountain frog
frost fruit garden garlic gate ghost giant ginger glacier glove goat grain grape gravel guitar habit
hammer harbor harvest hawk hazel heart helmet herb hill honey horizon horse hotel hunter icicle igloo
index insect iron island ivory jacket jaguar jelly jewel journey jungle kettle kitchen kite knight
ladder lagoon lake lamp lantern laundry lemon letter lily lion lizard lobster locket lotus lumber magnet
mango mantle maple marble market meadow medal melon mirror monkey moon morning mountain mouse music
napkin needle nest novel number oasis ocean office olive onion orange orbit orchard organ otter oven
owner oyster paddle palace panda paper parrot pasture pebble pencil pepper piano picnic pigeon pillow
pirate planet plum pocket poem pond potato powder prince pumpkin puppet quartz queen quilt rabbit radish
rain raven ribbon river robin rocket roof rope ruby saddle sailor salmon sand scarf school season shadow
shell ship silver sister sketch skirt sleeve snail snow sofa spider spoon spring square stable star
statue stone storm street summer sunset swan sword table tailor teacher temple thread thunder tiger
timber toast tomato torch tower trail train treasure tree trumpet tulip tunnel turtle uncle valley vase
velvet village violin visitor volcano wagon walnut water weasel wheat whistle willow window winter
wizard wolf wool yard yarn zebra zipper
"""
WORDS = tuple(_TEXT.split())
FIRST_NAMES = (
    "Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hal",
    "Ida", "Jon", "Kim", "Lea", "Max", "Nia", "Oto", "Pia",
)  # fmt: skip
