# What tw_version() says. The commit is that of the last configuration; a tree without git has none.
set(version "${PROJECT_VERSION} (")
find_program(GIT_EXECUTABLE git)
if(GIT_EXECUTABLE AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
    execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --tags --dirty WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(NOT failed)
        string(APPEND version "${commit}, ")
    endif()
endif()
string(APPEND version "${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE})")
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/base/version.c PROPERTIES COMPILE_DEFINITIONS "TWEEDIE_VERSION=\"${version}\"")
